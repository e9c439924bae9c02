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

    ``argmax_c μ_cᵀ Λ f(x) − ½ μ_cᵀ Λ μ_c`` with ``Λ = ((1 − ε) Σ + ε I)⁻¹``. ``f`` is what the network's head receives,
    or its output where it has no head; take a network that has been trained elsewhere, as by
    :func:`~lifelong.networks.FromCheckpoint`. ``μ_c`` are class means and ``Σ`` is the covariance around them that all
    classes share, ``1/n Σ_i (f(x_i) − μ_y)(f(x_i) − μ_y)ᵀ`` with ``y`` the class of ``x_i``. Both move with every
    example and are exactly those of all examples so far, whatever the batches and their order. Leave ``--data.passes``
    at 1, as an example counts each time that it comes. The score shown in training is that of the distances to the
    means; ``Λ`` is solved for evaluation, in double precision.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or with a head.
        shrinkage: ``ε``.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network as a classifier: ``false``, ``true`` (every experience) or ``first`` (the first
            one only).

    Raises:
        ValueError: when the shrinkage is not above 0 and at most 1, or a strategy has nothing to protect.

    Reference:
        Hayes & Kanan, "Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis", CLVision 2020.
        Differences: a new example counts in ``Σ`` by its class's count, ``n_c / (n_c + 1)``, not by that of all
        examples, which makes ``Σ`` exact; there is no base stage, so ``Σ`` begins at zero and always moves on.

    Example:
        >>> learner = StreamingLDA(nn.Flatten(), shrinkage=0.5)
        >>> learner.make_room(n_classes=2, n_features=1)
        >>> learner.absorb(torch.tensor([[0.0], [2.0], [8.0], [10.0]]), torch.tensor([0, 0, 1, 1]), TaskRunner())
        >>> learner.means.tolist(), learner.covariance().tolist()
        ([[1.0], [9.0]], [[1.0]])
    """

    scatter: Tensor
    """``(D, D)`` the sum of squares around the class means."""

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
        """Register means and scatter."""
        super().make_room(n_classes, n_features)
        self.register_buffer("scatter", self.means.new_zeros(n_features, n_features))

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Take some examples into means and scatter: what is around their own means, and how far these are off."""
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
        # On the host and in double precision, which not every device has: once for each evaluation.
        sigma, means = self.covariance().cpu().double(), self.means.cpu().double()
        eye = torch.eye(len(sigma), dtype=sigma.dtype)
        weight = torch.linalg.solve((1 - self.shrinkage) * sigma + self.shrinkage * eye, means.T).T
        return weight, -0.5 * (weight * means).sum(1)


def _forget_rule(learner: Any, incompatible: Any) -> None:
    learner._rule = None
