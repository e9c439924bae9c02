"""Fine-tuning: a pre-trained network and a new head, both trained on the support set at test time.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.inner_loop import MOST_STEPS, gradient_descent
from lifelong.compute.params import Params
from lifelong.learners.features import class_means, full_precision
from lifelong.learners.pretrained import Pretrained
from lifelong.utilities.ranges import check_number


class FineTuning(Pretrained):
    """Fine-tune everything by gradient steps: ``min_{θ,W,b} 1/S Σ_s −log softmax(W f_θ(x_s) + b)_{y_s}``.

    The head is initialised with zeros, or with the class means ``c_n`` of the support set: ``W_n = 2 c_n``,
    ``b_n = −‖c_n‖²``. The softmax is then that of the negative squared distances to the means, so without a step the
    learner predicts like a prototypical network.

    Args:
        network: computes the features ``f``: ``(n, *X)`` to ``(n, D)``. If it has a head, the head is removed.
        n_steps: number of gradient steps, each on the whole support set.
        rate: learning rate of the network.
        head_rate: learning rate of the head. Default: ``rate``.
        head: initial head: ``zero`` or ``class_mean``.

    Raises:
        ValueError: when the stream has more training classes than the pre-training classifier, or ``n_steps`` is
            negative.

    Reference:
        Dhillon et al., "A Baseline for Few-Shot Image Classification", ICLR 2020 (all parameters are fine-tuned);
        Triantafillou et al., "Meta-Dataset", ICLR 2020 (the class-mean head). Difference: plain gradient descent.

    Example:
        >>> learner = FineTuning(nn.Identity(), n_steps=0, head="class_mean")
        >>> learner.predict({}, learner.adapt({}, torch.eye(2), torch.eye(2)), torch.eye(2)).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        n_steps: int = 20,
        rate: float = 0.01,
        head_rate: float | None = None,
        head: Literal["zero", "class_mean"] = "class_mean",
    ) -> None:
        super().__init__(network)
        check_number("--model.n_steps", n_steps, least=0, most=MOST_STEPS, whole=True)
        check_number("--model.rate", rate, least=0)
        check_number("--model.head_rate", head_rate, least=0)
        self.n_steps, self.head = n_steps, head
        self.inner_rate, self.head_rate = rate, rate if head_rate is None else head_rate

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the network's parameters, ``head.weight`` ``(N, D)`` and ``head.bias`` ``(N,)`` after the steps."""
        return self.trajectory(params, support_x, support_y, self.n_steps, only_last=True)[-1]

    def predict(self, params: Params, state: Params, query_x: Tensor) -> Tensor:
        """Return the logits ``(Q, N)`` of the adapted network and head."""
        features = self.features(state, query_x)
        with full_precision(features):
            return F.linear(features, state["head.weight"], state["head.bias"])

    def trajectory(
        self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int, *, only_last: bool = False
    ) -> Sequence[Params]:
        """Return the states after 0, 1, …, ``n_steps`` steps, or only the last one."""
        # Like every inner loop, this one runs in the parameters' own precision.
        with full_precision(support_x):
            start = {name: p for name, p in params.items() if name.startswith("network.")}
            start |= self._fresh_head(self.features(start, support_x), support_y)
            rates = {"head.weight": self.head_rate, "head.bias": self.head_rate}
            rate = {name: torch.tensor(rates.get(name, self.inner_rate)) for name in start}

            def loss(state: Params) -> Tensor:
                return self.objective.loss(self.predict(params, state, support_x), support_y)

            # No training goes through these steps, so first order suffices.
            return gradient_descent(loss, start, [rate] * n_steps, first_order=True, only_last=only_last)

    def _fresh_head(self, features: Tensor, support_y: Tensor) -> Params:
        means = class_means(features, support_y)
        if self.head == "zero":
            means = torch.zeros_like(means)
        return {"head.weight": 2 * means, "head.bias": -means.square().sum(-1)}
