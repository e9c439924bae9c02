"""Infer an example's experience by Gaussians around the class means of each experience.

Shapes: ``n`` examples, ``D`` features, ``E`` experiences, ``K`` classes of one of them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.learners.base import Learner
from lifelong.learners.features import full_precision, precise
from lifelong.learners.objective import one_hot
from strategies.adapters.embedded import embedded_experience, places_among
from strategies.adapters.entry import joined, parted

SHRINKAGE = 0.01
"""Shrinkage of the covariance towards a multiple of the identity, so that it is invertible with few examples."""


class ClassGaussians:
    """Compare an embedding with the class means of each experience, as Gaussians with a shared covariance.

    ``d_e(x) = −log 1/K Σ_c exp(−½ (f(x) − μ_ec)ᵀ Σ⁻¹ (f(x) − μ_ec))`` is, up to a constant, the negative log-likelihood
    of experience ``e``, whose classes are equally likely. ``Σ`` is the within-class covariance of all examples so far,
    shared by all experiences and shrunk slightly towards a multiple of the identity with the same trace.

    Reference:
        Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018 (class means
        with a shared covariance). Difference: a mixture over an experience's classes instead of the nearest class.

    Example:
        >>> gaussians = ClassGaussians()
        >>> for centre in (0.0, 9.0):
        ...     x = torch.tensor([[centre - 1], [centre + 1]], dtype=torch.float64)
        ...     gaussians.add(x.sum(0, keepdim=True), torch.tensor([2.0]), x.T @ x)
        >>> gaussians.distances(torch.tensor([[3.0]])).T.tolist()
        [[4.5, 18.0]]
    """

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        """Class means ``(K, D)`` of each experience."""
        self.scatter = torch.zeros(0, 0, dtype=torch.float64)
        """``(D, D)`` the within-class scatter matrix."""
        self.count = 0.0
        """Number of examples so far."""
        self._rule: tuple[Tensor, Tensor] | None = None

    def add(self, sums: Tensor, counts: Tensor, squares: Tensor) -> None:
        """Add an experience.

        Args:
            sums: ``(K, D)`` sum of the embeddings of each class, in double precision.
            counts: ``(K,)`` number of examples of each class, at least one.
            squares: ``(D, D)`` sum of ``f fᵀ`` over all examples.
        """
        sums, counts, squares = sums.cpu(), counts.cpu().to(sums.dtype), squares.cpu()
        means = sums / counts[:, None]
        scatter = squares - sums.T @ means
        self.scatter = self.scatter + scatter if self.means else scatter
        self.means.append(means.float())
        self.count += float(counts.sum())
        self._rule = None

    def distances(self, features: Tensor) -> Tensor:
        """Return ``d_e`` ``(E, n)`` of embeddings ``(n, D)``."""
        self._rule = self._rule or self._solve()
        whiten, centres = (tensor.to(features) for tensor in self._rule)
        with full_precision(features):
            exact = "donot_use_mm_for_euclid_dist"  # the matrix product is too imprecise for near means
            halves = -torch.cdist(precise(features) @ whiten, centres, compute_mode=exact).square() / 2
        of_experiences = torch.split(halves, [len(means) for means in self.means], dim=1)
        return torch.stack([math.log(part.shape[1]) - part.logsumexp(1) for part in of_experiences])

    def _solve(self) -> tuple[Tensor, Tensor]:
        """Return ``W`` with ``W Wᵀ = Σ⁻¹`` and the means times ``W``, on the CPU in double precision."""
        covariance = self.scatter / self.count
        eye = torch.eye(len(covariance), dtype=covariance.dtype)
        scale = float(covariance.trace()) / len(covariance) or 1.0  # with one example per class the covariance is 0
        lower = torch.linalg.cholesky((1 - SHRINKAGE) * covariance + SHRINKAGE * scale * eye)
        whiten = torch.linalg.solve_triangular(lower, eye, upper=False).T
        return whiten, torch.cat(self.means).double() @ whiten

    def linear_rule(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights ``(K, D)`` and biases ``(K,)`` of the linear discriminant of each experience's Gaussians.

        ``W_c = Σ⁻¹ μ_c`` and ``b_c = −½ μ_cᵀ Σ⁻¹ μ_c``: the outputs are class log-likelihoods, up to a constant.
        """
        self._rule = self._rule or self._solve()
        whiten, centres = self._rule
        of_experiences = torch.split(centres, [len(means) for means in self.means])
        return [(part @ whiten.T, -part.square().sum(1) / 2) for part in of_experiences]

    def state(self) -> dict[str, Any]:
        """Return the statistics, for the checkpoint."""
        return {"means": joined(self.means), "scatter": self.scatter, "count": self.count}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the statistics from the checkpoint."""
        self.means, self.scatter, self.count = parted(state["means"]), state["scatter"], state["count"]
        self._rule = None


def class_statistics(
    learner: Learner, params: Params, visit: Visit, classes: Tensor, runner: TaskRunner, *, unit_length: bool = False
) -> tuple[Tensor, ...]:
    """Return the arguments of :meth:`ClassGaussians.add`, from all training examples of an experience.

    Args:
        learner: learner whose network computes the embeddings.
        params: parameters for the embeddings.
        visit: the visit to the experience.
        classes: ``(K,)`` classes of the experience.
        runner: sums over all processes.
        unit_length: whether embeddings are normalised to unit length.
    """
    parts: list[tuple[Tensor, ...]] = []
    for (features,), numbers in embedded_experience(learner, visit, [params]):
        exact = F.normalize(features.double(), dim=-1) if unit_length else features.double()
        labels = one_hot(places_among(numbers, classes), len(classes)).double()
        parts.append((labels.T @ exact, labels.sum(0), exact.T @ exact))
    return tuple(runner.sum(torch.stack(column).sum(0)) for column in zip(*parts, strict=True))
