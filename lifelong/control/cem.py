"""The cross-entropy method.

Shapes: ``R`` robots, ``N`` candidate plans per robot, ``H`` steps of a plan, ``S`` state dimensions, ``A`` action
dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.control.planner import Cost, Planner, Step, rollout
from lifelong.utilities.ranges import check_number


class CEM(Planner):
    """Plan by the cross-entropy method: fit a Gaussian over plans to the best candidates, and repeat.

    ``μ ← α μ + (1 − α) mean(elites)``, ``σ² ← α σ² + (1 − α) var(elites)``, for each step and action dimension
    separately. The elites are the ``n_elites`` candidates with the lowest costs. The deviation starts at ``σ`` in every
    control step.

    Args:
        n_candidates: number ``N`` of candidates.
        horizon: number ``H`` of control steps in a plan.
        deviation: initial standard deviation ``σ`` of the candidates.
        correlation: correlation ``β`` of the noise between consecutive steps.
        n_elites: number of elites to which the Gaussian is fitted.
        n_iterations: number of fits per control step.
        momentum: weight ``α`` of the previous mean and variance.

    Raises:
        ValueError: when an argument is out of range.

    Reference:
        Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999; for trajectories
        Kobilarov, "Cross-entropy motion planning", IJRR 2012. Differences: the covariance is diagonal, candidates are
        clipped instead of drawn from a truncated Gaussian, and the noise may be correlated along the steps.

    Example:
        A point that moves by its action, with its goal at 1:

        >>> planner, generator = CEM(horizon=3, correlation=0, n_iterations=10), torch.Generator().manual_seed(0)
        >>> step, cost = lambda s, a: s + a, lambda s, a: (s[..., 0] - 1).square()
        >>> plan = planner.improve(step, cost, torch.zeros(1, 1), planner.start(1, 1), generator)
        >>> 0.9 < plan[0, 0].item() <= 1
        True
    """

    def __init__(
        self,
        *,
        n_candidates: int = 128,
        horizon: int = 12,
        deviation: float = 0.6,
        correlation: float = 0.6,
        n_elites: int = 16,
        n_iterations: int = 3,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(n_candidates=n_candidates, horizon=horizon, deviation=deviation, correlation=correlation)
        check_number("CEM's n_elites", n_elites, least=2, whole=True)
        if not 2 <= n_elites <= n_candidates:
            raise ValueError(f"CEM has n_elites {n_elites} of n_candidates {n_candidates}: give 2 or more, not all")
        check_number("CEM's n_iterations", n_iterations, least=1, whole=True)
        check_number("CEM's momentum", momentum, least=0, below=1)
        self.n_elites, self.n_iterations, self.momentum = n_elites, n_iterations, momentum

    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean of the last Gaussian, ``(R, H, A)``."""
        variance = torch.full_like(plan, self.deviation**2)
        for _ in range(self.n_iterations):
            noise = variance.sqrt()[:, None] * self.noise(len(plan), plan.shape[-1], generator)
            candidates = (plan[:, None] + noise).clamp(-1, 1)
            costs = rollout(step, cost, state, candidates)
            elites = _take(candidates, costs.topk(self.n_elites, largest=False).indices)
            # With many elites, some may have an infinite cost: then the Gaussian is not updated.
            fits = costs.isfinite().sum(-1).ge(self.n_elites)[:, None, None]
            mean, spread = elites.mean(1), elites.var(1, correction=0)
            plan = torch.where(fits, self.momentum * plan + (1 - self.momentum) * mean, plan)
            variance = torch.where(fits, self.momentum * variance + (1 - self.momentum) * spread, variance)
        return plan


def _take(candidates: Tensor, indices: Tensor) -> Tensor:
    """Return the candidates ``(R, E, H, A)`` at indices ``(R, E)``."""
    return candidates[torch.arange(len(candidates), device=indices.device)[:, None], indices]
