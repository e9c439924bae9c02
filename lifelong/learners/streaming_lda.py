"""Streaming linear discriminant analysis, for streams of labelled examples.

Shapes: ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners.features import full_precision
from lifelong.learners.running_means import RunningMeans, Trained, Transform
from lifelong.utilities.ranges import check_number


class StreamingLDA(RunningMeans):
    """Classify by linear discriminant analysis of a fixed embedding, updated with each example (Deep SLDA).

    ``argmax_c μ_cᵀ Λ f(x) − ½ μ_cᵀ Λ μ_c`` with ``Λ = ((1 − ε) Σ + ε I)⁻¹``. ``f`` is the input of the network's head,
    or the network's output if it has no head. Use a pre-trained network, for example from
    :func:`~lifelong.networks.FromCheckpoint`. ``μ_c`` are the class means and ``Σ`` is the covariance around them,
    shared by all classes: ``1/n Σ_i (f(x_i) − μ_y)(f(x_i) − μ_y)ᵀ`` with ``y`` the class of ``x_i``. Both are updated
    with every example and equal the statistics of all examples so far, for any batches in any order. Keep
    ``--data.passes`` at 1, because an example counts every time it is seen. The training score uses the distances to
    the means; ``Λ`` is computed for evaluation, in double precision.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or a network with a head.
        shrinkage: ``ε``, above 0 and at most 1.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network as a classifier: ``false``, ``true`` (every experience) or ``first`` (only
            the first).

    Raises:
        ValueError: when the shrinkage is out of range, or a strategy is used but nothing is trained.

    Reference:
        Hayes & Kanan, "Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis", CLVision 2020.
        Differences: the weight of a new example in ``Σ`` uses the number of examples of its class, ``n_c / (n_c + 1)``,
            not that of all examples, which makes ``Σ`` exact; there is no base stage, so ``Σ`` starts at zero and is
            always updated.

    Example:
        >>> learner = StreamingLDA(nn.Flatten(), shrinkage=0.5)
        >>> learner.make_room(n_classes=2, n_features=1)
        >>> learner.absorb(torch.tensor([[0.0], [2.0], [8.0], [10.0]]), torch.tensor([0, 0, 1, 1]), TaskRunner())
        >>> learner.means.tolist(), learner.covariance().tolist()
        ([[1.0], [9.0]], [[1.0]])
    """

    scatter: Tensor
    """Sum of the outer products of deviations from the class means ``(D, D)``."""

    def __init__(
        self,
        network: nn.Module,
        *,
        shrinkage: float = 1e-4,
        transform: Transform = "none",
        train_embedding: Trained = False,
    ) -> None:
        super().__init__(network, transform=transform, train_embedding=train_embedding)
        check_number("--model.shrinkage", shrinkage, above=0, most=1, hint=", 1e-4 as a rule")
        self.shrinkage = shrinkage
        self._rule: tuple[Tensor, Tensor] | None = None
        self.register_load_state_dict_post_hook(_forget_rule)  # type: ignore[no-untyped-call]

    def make_room(self, n_classes: int, n_features: int) -> None:
        """Register the buffers of the means and the scatter matrix."""
        super().make_room(n_classes, n_features)
        self.register_buffer("scatter", self.means.new_zeros(n_features, n_features))

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Update means and scatter with a batch: the scatter within the batch, and the shift of the means."""
        self._rule = None
        sums, counts = (runner.sum(total) for total in self.totals(features, numbers))
        means = sums / counts.clamp_min(1)[:, None]
        around, off = features - means[numbers], means - self.means
        both = counts * self.counts / (counts + self.counts).clamp_min(1)
        with full_precision(features):
            self.scatter += runner.sum(around.T @ around) + (off * both[:, None]).T @ off
        self.merge(sums, counts)

    def covariance(self) -> Tensor:
        """Return ``Σ`` ``(D, D)``, zero before the first example."""
        return self.scatter / self.counts.sum().clamp_min(1)

    def compare(self, features: Tensor) -> Tensor:
        """Return ``μ_cᵀ Λ f − ½ μ_cᵀ Λ μ_c`` ``(n, C)``."""
        self._rule = self._rule or self._solve()
        weight, bias = (tensor.to(features) for tensor in self._rule)
        with full_precision(features):
            return self.without_unseen(features @ weight.T + bias)

    def _solve(self) -> tuple[Tensor, Tensor]:
        # On the CPU, because not every device has double precision. This runs once per evaluation.
        sigma, means = self.covariance().cpu().double(), self.means.cpu().double()
        eye = torch.eye(len(sigma), dtype=sigma.dtype)
        weight = torch.linalg.solve((1 - self.shrinkage) * sigma + self.shrinkage * eye, means.T).T
        return weight, -0.5 * (weight * means).sum(1)


def _forget_rule(learner: Any, incompatible: Any) -> None:
    learner._rule = None
