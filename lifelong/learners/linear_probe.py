"""Linear probe: logistic regression on the fixed features of a pre-trained network.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.inner_loop import MOST_STEPS, gradient_descent
from lifelong.compute.params import Params
from lifelong.learners.features import full_precision
from lifelong.learners.pretrained import Pretrained
from lifelong.utilities.ranges import check_number


class LinearProbe(Pretrained):
    """Train a linear head on fixed features: ``min_{W,b} 1/S Σ_s −log softmax(W z_s + b)_{y_s} + λ/2 ‖W‖²`` from zero.

    Args:
        network: computes the features ``f``: ``(n, *X)`` to ``(n, D)``. If it has a head, the head is removed.
        n_steps: number of gradient steps, each on the whole support set.
        rate: learning rate; with normalised features 1 is always stable.
        normalise: use ``z = f / ‖f‖`` instead of ``z = f``.
        weight_decay: ``λ``. The bias is not regularised.

    Raises:
        ValueError: when the stream has more training classes than the pre-training classifier, or ``n_steps`` is
            negative.

    Reference:
        The logistic regression of Tian et al., "Rethinking Few-Shot Image Classification: a Good Embedding Is All You
        Need?", ECCV 2020. Differences: gradient steps instead of a solver, and no distillation.

    Example:
        >>> learner = LinearProbe(nn.Identity(), n_steps=1)
        >>> learner.adapt({}, 2 * torch.eye(2), torch.eye(2))["weight"].tolist()
        [[0.25, -0.25], [-0.25, 0.25]]
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        n_steps: int = 100,
        rate: float = 1.0,
        normalise: bool = True,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(network)
        check_number("--model.n_steps", n_steps, least=0, most=MOST_STEPS, whole=True)
        check_number("--model.rate", rate, least=0)
        check_number("--model.weight_decay", weight_decay, least=0)
        self.n_steps, self.inner_rate = n_steps, rate
        self.normalise, self.weight_decay = normalise, weight_decay

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``z(x)`` ``(n, D)``."""
        features = self.features(params, x)
        return F.normalize(features, dim=-1) if self.normalise else features

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the weight ``(N, D)`` and bias ``(N,)`` of the logistic regression."""
        return self.trajectory(params, support_x, support_y, self.n_steps)[-1]

    def predict(self, params: Params, state: Params, query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)``."""
        return self.predict_embedded(params, state, self.embed(params, query_x))

    def predict_embedded(self, params: Params, state: Params, features: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of embedded queries ``(Q, D)``."""
        with full_precision(features):
            return F.linear(features, state["weight"], state["bias"])

    def trajectory(self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int) -> Sequence[Params]:
        """Return the weight and bias after 0, 1, …, ``n_steps`` steps."""
        # Like every inner loop, this one runs in the parameters' own precision.
        with full_precision(support_x):
            features = self.embed(params, support_x)

            def loss(head: Params) -> Tensor:
                fit = self.objective.loss(F.linear(features, head["weight"], head["bias"]), support_y)
                return fit + self.weight_decay / 2 * head["weight"].square().sum()

            n_way, n_features = support_y.shape[-1], features.shape[-1]
            start = {"weight": features.new_zeros(n_way, n_features), "bias": features.new_zeros(n_way)}
            rate = dict.fromkeys(start, torch.tensor(self.inner_rate))
            # No training goes through the probe, so first order suffices.
            return gradient_descent(loss, start, [rate] * n_steps, first_order=True)
