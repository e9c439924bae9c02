"""Planners: which actions a model promises the least cost for, over the next few steps.

Shapes: ``R`` robots, ``N`` candidate plans of each, ``H`` steps of a plan, ``S`` numbers of a state, ``A`` of an
action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], Tensor]
"""A model: states ``(R, N, S)`` and actions ``(R, N, A)`` to the states that follow, ``(R, N, S)``."""
Cost = Callable[[Tensor, Tensor], Tensor]
"""Costs ``(R, N)`` of having acted ``(R, N, A)`` and come to ``(R, N, S)``; lower is better."""


class Planner(ABC):
    """Model-predictive control: improve a plan by trying candidates near it, act by its first action, shift it.

    A plan ``(R, H, A)`` goes in and comes out: a planner remembers nothing. Candidates are the plan plus noise, clipped
    to [−1, 1]; the first of them is the plan itself. Noise is a stationary autoregression along the steps,
    ``ε_h = β ε_{h−1} + √(1 − β²) ξ_h`` with ``ξ_h ~ N(0, σ²)``, so that its deviation is ``σ`` at every step and with
    ``β > 0`` neighbours act alike: independent noise averages out before it has moved anything.

    Args:
        n_candidates: ``N``.
        horizon: ``H``, in control steps.
        deviation: ``σ`` of the noise; actions are in [−1, 1].
        correlation: ``β`` in 0 … 1; 0 is independent noise.

    Raises:
        ValueError: when a setting is out of range.
    """

    def __init__(self, *, n_candidates: int, horizon: int, deviation: float, correlation: float) -> None:
        name = type(self).__name__
        for setting, value, least in (("n_candidates", n_candidates, 2), ("horizon", horizon, 1)):
            if value < least:
                raise ValueError(f"{name} has {setting} {value}: it must be at least {least}")
        if deviation <= 0:
            raise ValueError(f"{name} has deviation {deviation}, so that all candidates are the same: set it above 0")
        if not 0 <= correlation < 1:
            raise ValueError(f"{name} has correlation {correlation}: it must be at least 0 and below 1")
        self.n_candidates, self.horizon = n_candidates, horizon
        self.deviation, self.correlation = deviation, correlation

    @abstractmethod
    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """A better plan ``(R, H, A)`` from the states ``(R, S)``; ``plan[:, 0]`` is what to do now.

        Args:
            step: the model.
            cost: of one step; the cost of a plan is the sum over its steps. What is not finite counts as the worst.
            state: ``(R, S)``.
            plan: ``(R, H, A)``, from :meth:`start` or :meth:`shift`.
            generator: decides the noise; on the same device as the states.
        """

    def start(self, n_robots: int, n_actions: int, device: torch.device | str = "cpu") -> Tensor:
        """The plan to begin with: do nothing, ``(R, H, A)``."""
        return torch.zeros(n_robots, self.horizon, n_actions, device=device)

    @staticmethod
    def shift(plan: Tensor) -> Tensor:
        """The plan one step later; its last action is repeated.

        Example:
            >>> Planner.shift(torch.tensor([[[0.1], [0.2], [0.3]]])).flatten().tolist() == [
            ...     x.item() for x in torch.tensor([0.2, 0.3, 0.3])
            ... ]
            True
        """
        return torch.cat([plan[:, 1:], plan[:, -1:]], dim=1)

    def noise(self, n_robots: int, n_actions: int, generator: torch.Generator) -> Tensor:
        """Noise ``(R, N, H, A)`` of unit deviation; that of the first candidate is zero."""
        shape = (n_robots, self.n_candidates, self.horizon, n_actions)
        white = torch.randn(shape, generator=generator, device=generator.device)
        if self.correlation > 0:
            white = torch.einsum("hk,rnka->rnha", _mixing(self.horizon, self.correlation).to(white), white)
        white[:, 0] = 0
        return white


class MPPI(Planner):
    """Model-predictive path integral control: the candidates' mean, weighted by how little they cost.

    ``plan ← Σ_n w_n a_n`` with ``w_n ∝ exp(−(J_n − min J) / λ)``, where ``J_n`` is the cost of candidate ``n``.

    Args:
        n_candidates: ``N``.
        horizon: ``H``, in control steps.
        deviation: ``σ`` of the noise.
        correlation: ``β`` of the noise along the steps.
        temperature: ``λ`` as a share of what the median candidate costs more than the best, so that it means the same
            for every robot and cost.
        n_iterations: improvements per control step.

    Raises:
        ValueError: when a setting is out of range.

    Reference:
        Williams et al., "Information theoretic MPC for model-based reinforcement learning", ICRA 2017; with models that
        adapt, Nagabandi et al., "Learning to adapt in dynamic, real-world environments through
        meta-reinforcement learning", ICLR 2019. Differences: the temperature follows the candidates' costs, the
        control cost ``γ uᵀ Σ⁻¹ ε`` is left out (a robot's cost says what acting costs), and the noise may be correlated
        along the steps.

    Example:
        A point that moves as it is told, and shall be at 1:

        >>> planner, generator = MPPI(horizon=3), torch.Generator().manual_seed(0)
        >>> step, cost = lambda s, a: s + a, lambda s, a: (s[..., 0] - 1).square()
        >>> plan = planner.start(1, 1)
        >>> for _ in range(20):
        ...     plan = planner.improve(step, cost, torch.zeros(1, 1), plan, generator)
        >>> 0.9 < plan[0, 0].item() <= 1
        True
    """

    def __init__(
        self,
        *,
        n_candidates: int = 256,
        horizon: int = 12,
        deviation: float = 0.6,
        correlation: float = 0.6,
        temperature: float = 0.1,
        n_iterations: int = 1,
    ) -> None:
        super().__init__(n_candidates=n_candidates, horizon=horizon, deviation=deviation, correlation=correlation)
        if temperature <= 0:
            raise ValueError(f"MPPI has temperature {temperature}: it must be above 0")
        if n_iterations < 1:
            raise ValueError(f"MPPI has n_iterations {n_iterations}: it must be at least 1")
        self.temperature, self.n_iterations = temperature, n_iterations

    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """The weighted mean of the candidates, ``(R, H, A)``."""
        for _ in range(self.n_iterations):
            noise = self.deviation * self.noise(len(plan), plan.shape[-1], generator)
            candidates = (plan[:, None] + noise).clamp(-1, 1)
            weights = soft_minimum(rollout(step, cost, state, candidates), self.temperature)
            plan = torch.einsum("rn,rnha->rha", weights, candidates)
        return plan


class CEM(Planner):
    """Cross-entropy method: refit a Gaussian over plans to the best candidates, a few times.

    ``μ ← α μ + (1 − α) mean(elites)``, ``σ² ← α σ² + (1 − α) var(elites)``, for every step and action by itself; the
    elites are the ``n_elites`` candidates that cost the least. The deviation starts at ``σ`` in every control step.

    Args:
        n_candidates: ``N``.
        horizon: ``H``, in control steps.
        deviation: ``σ`` of the first candidates.
        correlation: ``β`` of the noise along the steps.
        n_elites: candidates that are fitted.
        n_iterations: fits per control step.
        momentum: ``α``, what is kept of the Gaussian before.

    Raises:
        ValueError: when a setting is out of range.

    Reference:
        Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999; for trajectories
        Kobilarov, "Cross-entropy motion planning", IJRR 2012. Differences: the covariance is diagonal, candidates are
        clipped instead of drawn from a truncated Gaussian, and the noise may be correlated along the steps.

    Example:
        A point that moves as it is told, and shall be at 1:

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
        if not 2 <= n_elites <= n_candidates:
            raise ValueError(f"CEM has n_elites {n_elites} of n_candidates {n_candidates}: give 2 or more, not all")
        if n_iterations < 1:
            raise ValueError(f"CEM has n_iterations {n_iterations}: it must be at least 1")
        if not 0 <= momentum < 1:
            raise ValueError(f"CEM has momentum {momentum}: it must be at least 0 and below 1")
        self.n_elites, self.n_iterations, self.momentum = n_elites, n_iterations, momentum

    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """The mean of the last Gaussian, ``(R, H, A)``."""
        variance = torch.full_like(plan, self.deviation**2)
        for _ in range(self.n_iterations):
            noise = variance.sqrt()[:, None] * self.noise(len(plan), plan.shape[-1], generator)
            candidates = (plan[:, None] + noise).clamp(-1, 1)
            costs = rollout(step, cost, state, candidates)
            elites = _take(candidates, costs.topk(self.n_elites, largest=False).indices)
            # Among as many elites as that, some may have no finite cost: then there is nothing to fit.
            fits = costs.isfinite().sum(-1).ge(self.n_elites)[:, None, None]
            mean, spread = elites.mean(1), elites.var(1, correction=0)
            plan = torch.where(fits, self.momentum * plan + (1 - self.momentum) * mean, plan)
            variance = torch.where(fits, self.momentum * variance + (1 - self.momentum) * spread, variance)
        return plan


def rollout(step: Step, cost: Cost, state: Tensor, candidates: Tensor) -> Tensor:
    """Costs ``(R, N)`` of candidate plans, ``Σ_h cost(s_{h+1}, a_h)``; ``inf`` where the sum is not finite.

    Args:
        step: the model.
        cost: of one step.
        state: ``(R, S)`` where all candidates of a robot begin.
        candidates: ``(R, N, H, A)``.

    Example:
        >>> ends = rollout(lambda s, a: s + a, lambda s, a: s[..., 0], torch.zeros(1, 1), torch.ones(1, 2, 3, 1))
        >>> ends.tolist()
        [[6.0, 6.0]]
    """
    n_robots, n_candidates = candidates.shape[:2]
    now = state[:, None].expand(n_robots, n_candidates, state.shape[-1])
    total = torch.zeros(n_robots, n_candidates, dtype=state.dtype, device=state.device)
    for action in candidates.unbind(2):
        now = step(now, action)
        total = total + cost(now, action)
    return torch.where(total.isfinite(), total, torch.inf)


def soft_minimum(costs: Tensor, temperature: float) -> Tensor:
    """Weights ``(R, N)`` that sum to one, ``∝ exp(−(J − min J) / λ)`` with ``λ = temperature · (median J − min J)``.

    Infinite costs weigh nothing and have no part in the median; where all are infinite, the first candidate has all the
    weight (that is the plan as it was).

    Example:
        >>> soft_minimum(torch.tensor([[0.0, 1.0, torch.inf], [torch.inf] * 3]), 0.1).tolist()
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    finite = costs.isfinite()
    excess = torch.where(finite, costs - costs.amin(-1, keepdim=True), torch.nan)
    scale = temperature * excess.nanmedian(-1, keepdim=True).values
    tiny = torch.finfo(costs.dtype).tiny
    weights = torch.where(finite, torch.exp(-excess / scale.clamp_min(tiny)), 0.0)
    first = torch.zeros_like(weights)
    first[:, 0] = 1
    weights = torch.where(finite.any(-1, keepdim=True), weights, first)
    return weights / weights.sum(-1, keepdim=True)


def _take(candidates: Tensor, indices: Tensor) -> Tensor:
    """Candidates ``(R, E, H, A)`` at indices ``(R, E)``."""
    return candidates[torch.arange(len(candidates), device=indices.device)[:, None], indices]


def _mixing(horizon: int, correlation: float) -> Tensor:
    """``L (H, H)`` with ``ε = L ξ``: the autoregression written out, stationary from its first step on."""
    steps = torch.arange(horizon)
    lag = (steps[:, None] - steps).clamp_min(0)
    mixing: Tensor = correlation**lag * (1 - correlation**2) ** 0.5
    mixing[:, 0] /= (1 - correlation**2) ** 0.5
    return mixing.tril()
