"""The planner contract: find the actions with the lowest predicted cost over the next few steps.

Shapes: ``R`` robots, ``N`` candidate plans per robot, ``H`` steps of a plan, ``S`` state dimensions, ``A`` action
dimensions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

Step = Callable[[Tensor, Tensor], Tensor]
"""A model: maps states ``(R, N, S)`` and actions ``(R, N, A)`` to the next states ``(R, N, S)``."""
Cost = Callable[[Tensor, Tensor], Tensor]
"""Costs ``(R, N)`` of actions ``(R, N, A)`` that led to states ``(R, N, S)``; lower is better."""


class Planner(Recorded, ABC):
    """Plan with a model: improve a plan by sampling candidates near it, execute its first action, and shift it.

    Planners keep no state: the plan ``(R, H, A)`` is an argument and a result. Candidates are the plan plus noise,
    clipped to [−1, 1]; the first candidate is the plan itself. The noise is a stationary autoregressive process over
    the steps, ``ε_h = β ε_{h−1} + √(1 − β²) ξ_h`` with ``ξ_h ~ N(0, σ²)``, so its standard deviation is ``σ`` at every
    step. With ``β > 0`` consecutive actions are similar; independent noise would average out and hardly move a robot.

    Args:
        n_candidates: number ``N`` of candidates.
        horizon: number ``H`` of control steps in a plan.
        deviation: standard deviation ``σ`` of the noise; actions are in [−1, 1].
        correlation: correlation ``β`` of the noise between consecutive steps, from 0 (independent) to 1.

    Raises:
        ValueError: when an argument is out of range.
    """

    def __init__(self, *, n_candidates: int, horizon: int, deviation: float, correlation: float) -> None:
        name = type(self).__name__
        for setting, value, least in (("n_candidates", n_candidates, 2), ("horizon", horizon, 1)):
            check_number(f"{name}'s {setting}", value, least=least, whole=True)
        check_number(f"{name}'s deviation", deviation, above=0, hint=", or all candidates are the same")
        check_number(f"{name}'s correlation", correlation, least=0, below=1)
        self.n_candidates, self.horizon = n_candidates, horizon
        self.deviation, self.correlation = deviation, correlation

    @abstractmethod
    def improve(self, step: Step, cost: Cost, state: Tensor, plan: Tensor, generator: torch.Generator) -> Tensor:
        """Return an improved plan ``(R, H, A)`` for the states ``(R, S)``; ``plan[:, 0]`` is the next action.

        Args:
            step: the model.
            cost: cost of one step; the cost of a plan is the sum over its steps. Costs that are not finite count as
                infinite.
            state: current states ``(R, S)``.
            plan: plan ``(R, H, A)``, from :meth:`start` or :meth:`shift`.
            generator: random generator of the noise, on the device of the states.
        """

    def start(self, n_robots: int, n_actions: int, device: torch.device | str = "cpu") -> Tensor:
        """Return the initial plan ``(R, H, A)`` of zero actions."""
        return torch.zeros(n_robots, self.horizon, n_actions, device=device)

    @staticmethod
    def shift(plan: Tensor) -> Tensor:
        """Shift the plan by one step; its last action is repeated.

        Example:
            >>> Planner.shift(torch.tensor([[[0.1], [0.2], [0.3]]])).flatten().tolist() == [
            ...     x.item() for x in torch.tensor([0.2, 0.3, 0.3])
            ... ]
            True
        """
        return torch.cat([plan[:, 1:], plan[:, -1:]], dim=1)

    def noise(self, n_robots: int, n_actions: int, generator: torch.Generator) -> Tensor:
        """Return noise ``(R, N, H, A)`` of unit deviation; the noise of the first candidate is zero."""
        shape = (n_robots, self.n_candidates, self.horizon, n_actions)
        white = torch.randn(shape, generator=generator, device=generator.device)
        if self.correlation > 0:
            white = torch.einsum("hk,rnka->rnha", _mixing(self.horizon, self.correlation).to(white), white)
        white[:, 0] = 0
        return white


def rollout(step: Step, cost: Cost, state: Tensor, candidates: Tensor) -> Tensor:
    """Return the costs ``(R, N)`` of candidate plans, ``Σ_h cost(s_{h+1}, a_h)``; ``inf`` if the sum is not finite.

    Args:
        step: the model.
        cost: cost of one step.
        state: initial states ``(R, S)``, shared by all candidates of a robot.
        candidates: candidate plans ``(R, N, H, A)``.

    Example:
        >>> ends = rollout(lambda s, a: s + a, lambda s, a: s[..., 0], torch.zeros(1, 1), torch.ones(1, 2, 3, 1))
        >>> ends.tolist()
        [[6.0, 6.0]]
    """
    n_robots, n_candidates = candidates.shape[:2]
    current = state[:, None].expand(n_robots, n_candidates, state.shape[-1])
    total = torch.zeros(n_robots, n_candidates, dtype=state.dtype, device=state.device)
    for action in candidates.unbind(2):
        current = step(current, action)
        total = total + cost(current, action)
    return torch.where(total.isfinite(), total, torch.inf)


def _mixing(horizon: int, correlation: float) -> Tensor:
    """Return the matrix ``L (H, H)`` of the autoregressive process, ``ε = L ξ``, stationary from the first step."""
    steps = torch.arange(horizon)
    lag = (steps[:, None] - steps).clamp_min(0)
    mixing: Tensor = correlation**lag * (1 - correlation**2) ** 0.5
    mixing[:, 0] /= (1 - correlation**2) ** 0.5
    return mixing.tril()
