"""Model-predictive path integral control.

Shapes: ``R`` robots, ``N`` candidate plans per robot, ``H`` steps of a plan, ``S`` state dimensions, ``A`` action
dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.control.planner import Cost, Planner, Step, rollout
from lifelong.utilities.ranges import check_number


class MPPI(Planner):
    """Plan by path integral control: average the candidates, weighted by how little they cost.

    ``plan ← Σ_n w_n a_n`` with ``w_n ∝ exp(−(J_n − min J) / λ)``, where ``J_n`` is the cost of candidate ``n``.

    Args:
        n_candidates: number ``N`` of candidates.
        horizon: number ``H`` of control steps in a plan.
        deviation: standard deviation ``σ`` of the noise.
        correlation: correlation ``β`` of the noise between consecutive steps.
        temperature: ``λ`` divided by the difference between the median and the lowest cost of the candidates, so the
            same value suits all robots and costs.
        n_iterations: number of plan updates per control step.

    Raises:
        ValueError: when an argument is out of range.

    Reference:
        Williams et al., "Information theoretic MPC for model-based reinforcement learning", ICRA 2017; with models that
        adapt, Nagabandi et al., "Learning to adapt in dynamic, real-world environments through
        meta-reinforcement learning", ICLR 2019. Differences: the temperature scales with the candidates' costs, the
        control cost ``γ uᵀ Σ⁻¹ ε`` is left out (a robot's cost includes it), and the noise may be correlated between
        steps.

    Example:
        A point that moves by its action, with its goal at 1:

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
        check_number("MPPI's temperature", temperature, above=0)
        check_number("MPPI's n_iterations", n_iterations, least=1, whole=True)
        self.temperature, self.n_iterations = temperature, n_iterations

    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted mean of the candidates, ``(R, H, A)``."""
        for _ in range(self.n_iterations):
            noise = self.deviation * self.noise(len(plan), plan.shape[-1], generator)
            candidates = (plan[:, None] + noise).clamp(-1, 1)
            weights = soft_minimum(rollout(step, cost, state, candidates), self.temperature)
            plan = torch.einsum("rn,rnha->rha", weights, candidates)
        return plan


def soft_minimum(costs: Tensor, temperature: float) -> Tensor:
    """Return weights ``(R, N)`` that sum to one, smaller for larger costs.

    ``w ∝ exp(−(J − min J) / λ)`` with ``λ = temperature · (median J − min J)``.

    Infinite costs get weight 0 and do not count for the median. If all costs are infinite, the first candidate, which
    is the unchanged plan, gets all the weight.

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
