"""How far a query is from every known class: does the model know this kind of input?

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
"""Number of examples that are embedded at once."""


@dataclass(frozen=True)
class Familiarity:
    """Measure ``min_c ‖f(x) − μ_c‖ / t``: above 1, a query is farther from all classes than their own examples are.

    ``f`` is the embedding of the learner's network, and ``μ_c`` is the mean embedding of the ``K_c`` support examples
    of class ``c``. The threshold ``t`` is calibrated on the support set: it is the 95 % quantile of each example's
    distance from the mean of the other examples of its class, times ``√(1 − 1 / K_c²)``. The factor corrects for the
    mean being over one example less. About 95 % of further examples of the classes are therefore below the threshold.

    Args:
        means: class means ``(N, D)``.
        threshold: the threshold ``t``.

    Reference:
        The nearest class mean follows Mensink et al., "Distance-Based Image Classification", TPAMI 2013. The factor
        assumes equal variances: ``f(x) − μ_c`` has ``1 + 1 / K`` times the variance of an example, and the distance
        from the mean of the others has ``1 + 1 / (K − 1)`` times it.

    Example:
        >>> Familiarity(torch.zeros(1, 2), threshold=2.0).far(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
        tensor([2.5000, 0.5000])
    """

    means: Tensor
    threshold: float

    @classmethod
    def of(cls, learner: Learner, params: Params, x: Tensor, y: Tensor) -> Self | None:
        """Calibrate on a support set; None if no class has two examples or examples are not embedded independently.

        Args:
            learner: the learner whose network embeds.
            params: the parameters to embed with.
            x: ``(S, *X)``.
            y: ``(S,)``, the class index of each example.
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
    """Return how unsure predictions are, ``(1 − max_c p_c) / (1 − t)``: above 1, less sure than for known examples.

    Args:
        probabilities: ``(M, N)``.
        threshold: the probability ``t``: for 95 % of held-out examples of known classes, ``max_c p_c`` is at least
            ``t``.

    Reference:
        Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", ICLR 2017.

    Example:
        >>> unsure(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), threshold=0.75).round(decimals=2)
        tensor([2.0000, 0.4000])
    """
    smallest = torch.finfo(probabilities.dtype).eps
    return (1 - probabilities.amax(1)) / max(1 - threshold, smallest)


def embed(learner: Learner, params: Params, x: Tensor) -> Tensor:
    """Return embeddings ``(M, D)``, computed in chunks.

    Args:
        learner: the learner whose network embeds.
        params: the parameters to embed with.
        x: ``(M, *X)``.
    """
    x = x.to(learner.device)
    x = x.to(learner.dtype) if x.is_floating_point() else x
    with evaluating(learner), torch.no_grad():
        return precise(torch.cat([learner.embed(params, part) for part in torch.split(x, AT_ONCE)]).flatten(1))
