"""How far a query is from every class that a model was shown: whether it knows what it is asked about.

Shapes: ``S`` support and ``M`` query examples, ``N`` classes, ``D`` features, ``*X`` one input.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Self

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import precise
from lifelong.training.confidences import SHARE

AT_ONCE = 128
"""Examples that are embedded together."""


@dataclass(frozen=True)
class Familiarity:
    """Measure ``min_c ‖f(x) − μ_c‖ / t``: above 1 a query is farther from all classes than examples of them are.

    ``f`` is the embedding that the learner's network computes, ``μ_c`` the mean over the ``K_c`` support examples of
    class ``c``. The threshold ``t`` is calibrated on the support set itself: it is the 95 % quantile of each example's
    distance from the mean of the others of its class, times ``√(1 − 1 / K_c²)``, as a mean of one example less is that
    much farther away. So about 95 % of further examples are known.

    Args:
        means: ``(N, D)``.
        threshold: ``t``.

    Reference:
        The nearest class mean is that of Mensink et al., "Distance-Based Image Classification", TPAMI 2013. The factor
        is that of equal variance: ``f(x) − μ_c`` has ``1 + 1 / K`` times that of an example, and what is left out
        ``1 + 1 / (K − 1)`` times.

    Example:
        >>> Familiarity(torch.zeros(1, 2), threshold=2.0).far(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
        tensor([2.5000, 0.5000])
    """

    means: Tensor
    threshold: float

    @classmethod
    def of(cls, learner: Learner, params: Params, x: Tensor, y: Tensor) -> Self | None:
        """Calibrate on a support set; None where no class has two examples, or examples are not embedded one by one.

        Args:
            learner: whose network embeds.
            params: that it embeds with.
            x: ``(S, *X)``.
            y: ``(S,)`` the place of each example's class.
        """
        if learner.transductive:
            return None
        features = embed(learner, params, x)
        sums = features.new_zeros(int(y.max()) + 1, features.shape[1]).index_add(0, y, features)
        counts = torch.bincount(y).to(features)
        has_others = counts[y] > 1
        own, mine = features[has_others], y[has_others]
        others = (sums[mine] - own) / (counts[mine] - 1)[:, None]
        left_out = torch.linalg.vector_norm(own - others, dim=1) * (1 - counts[mine] ** -2).sqrt()
        if not len(left_out) or not (threshold := float(left_out.quantile(SHARE))) > 0:
            return None
        return cls((sums / counts[:, None]).cpu(), threshold)

    def far(self, features: Tensor) -> Tensor:
        """Return the distance ``(M,)`` of embeddings ``(M, D)`` from the nearest class, in units of the threshold."""
        return torch.cdist(features.cpu(), self.means).amin(1) / self.threshold


def unsure(probabilities: Tensor, threshold: float) -> Tensor:
    """Return how unsure answers are, ``(1 − max_c p_c) / (1 − t)``: above 1 less sure than those to known examples.

    Args:
        probabilities: ``(M, N)``.
        threshold: ``t``, the probability that 95 % of held-out examples of known classes are answered with, or more.

    Reference:
        Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017.

    Example:
        >>> unsure(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), threshold=0.75).round(decimals=2)
        tensor([2.0000, 0.4000])
    """
    smallest = torch.finfo(probabilities.dtype).eps
    return (1 - probabilities.amax(1)) / max(1 - threshold, smallest)


def embed(learner: Learner, params: Params, x: Tensor) -> Tensor:
    """Return embeddings ``(M, D)``, some at a time.

    Args:
        learner: whose network embeds.
        params: that it embeds with.
        x: ``(M, *X)``.
    """
    x = x.to(learner.device)
    x = x.to(learner.dtype) if x.is_floating_point() else x
    with evaluating(learner), torch.no_grad():
        return precise(torch.cat([learner.embed(params, part) for part in torch.split(x, AT_ONCE)]).flatten(1))
