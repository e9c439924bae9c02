"""Planners on systems whose best plan is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.control.cem import CEM
from lifelong.control.mppi import MPPI
from lifelong.control.planner import Planner, rollout

PLANNERS: list[Planner] = [MPPI(horizon=8, n_iterations=3), CEM(horizon=8)]
by_name = pytest.mark.parametrize("planner", PLANNERS, ids=lambda p: type(p).__name__)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def point(state: Tensor, action: Tensor) -> Tensor:
    """A point in the plane that an action moves by at most 0.2 a step."""
    return state + 0.2 * action


def distance(goal: Tensor) -> Any:
    return lambda state, action: (state - goal).square().sum(-1)


def improved(planner: Planner, step: Any, cost: Any, state: Tensor, n: int = 15, seed: int = 0) -> Tensor:
    generator, plan = rng(seed), planner.start(len(state), 2)
    for _ in range(n):
        plan = planner.improve(step, cost, state, plan, generator)
    return plan


@by_name
def test_a_point_goes_straight_to_its_goal_and_stays(planner: Planner) -> None:
    goals = torch.tensor([[[0.5, -0.5]], [[-0.5, 0.1]]])
    state, generator, plan = torch.zeros(2, 2), rng(), planner.start(2, 2)
    for number in range(12):
        plan = planner.improve(point, distance(goals), state, plan, generator)
        assert plan.shape == (2, 8, 2)
        assert plan.abs().max() <= 1
        if number == 0:  # far away the best is full speed towards the goal
            assert plan[0, 0, 0] > 0.5
            assert plan[0, 0, 1] < -0.5
            assert plan[1, 0, 0] < -0.5
        state = point(state, plan[:, 0])
        plan = planner.shift(plan)
    torch.testing.assert_close(state, goals[:, 0], atol=0.12, rtol=0)


@by_name
def test_a_double_integrator_comes_near_its_optimum(planner: Planner) -> None:
    # Σ (x² + 0.1 v² + 0.01 a²); with small states no action is clipped, so the best plan is a least-squares solution.
    dt, horizon = 0.3, planner.horizon

    def step(state: Tensor, action: Tensor) -> Tensor:
        x, v = state[..., :1], state[..., 1:]
        return torch.cat([x + dt * v + 0.5 * dt**2 * action, v + dt * action], -1)

    def cost(state: Tensor, action: Tensor) -> Tensor:
        return state[..., 0] ** 2 + 0.1 * state[..., 1] ** 2 + 0.01 * action[..., 0] ** 2

    start = torch.tensor([[0.2, 0.0]])
    rows = []
    for basis in torch.cat([torch.zeros(1, horizon), torch.eye(horizon)]):
        state, row = start * (basis.sum() == 0), []
        for a in basis:
            state = step(state, a.reshape(1, 1))
            row += [state[0, 0], 0.1**0.5 * state[0, 1]]
        rows.append(torch.cat([torch.stack(row), 0.1 * basis]))
    free, response = rows[0], torch.stack(rows[1:], 1)
    best = torch.linalg.lstsq(response, -free[:, None]).solution
    assert best.abs().max() < 1
    least = float(cost_of(step, cost, start, best.reshape(1, horizon, 1)))
    generator, plan = rng(), planner.start(1, 1)
    nothing = float(cost_of(step, cost, start, plan))
    for _ in range(30):
        plan = planner.improve(step, cost, start, plan, generator)
    found = float(cost_of(step, cost, start, plan))
    assert least - 1e-6 <= found < least + 0.1 * (nothing - least)


def cost_of(step: Any, cost: Any, start: Tensor, plan: Tensor) -> Tensor:
    return rollout(step, cost, start, plan[:, None])[0, 0]


@by_name
def test_the_generator_decides_and_robots_do_not_meet(planner: Planner) -> None:
    goals = torch.tensor([[[0.5, -0.5]], [[-0.5, 0.1]]])
    state = torch.zeros(2, 2)
    plan = improved(planner, point, distance(goals), state, 2)
    assert torch.equal(plan, improved(planner, point, distance(goals), state, 2))
    assert not torch.equal(plan, improved(planner, point, distance(goals), state, 2, seed=1))
    other = torch.tensor([[[0.5, -0.5]], [[9.0, 9.0]]])
    moved = improved(planner, point, distance(other), state, 2)
    assert torch.equal(plan[0], moved[0])
    assert not torch.equal(plan[1], moved[1])


@by_name
def test_what_is_not_finite_is_the_worst_and_poisons_nothing(planner: Planner) -> None:
    goal = torch.tensor([[[0.5, 0.5]]])

    def abyss(state: Tensor, action: Tensor) -> Tensor:  # to the left of the start there is none
        costs = (state - goal).square().sum(-1)
        costs = torch.where(state[..., 0] < -0.05, torch.nan, costs)
        return torch.where(state[..., 1] < -0.05, torch.inf, costs)

    plan = improved(planner, point, abyss, torch.zeros(1, 2))
    assert plan.isfinite().all()
    assert plan[0, :2].mean() > 0.5
    hopeless = improved(planner, point, lambda s, a: torch.full_like(s[..., 0], torch.nan), torch.zeros(1, 2))
    assert torch.equal(hopeless, planner.start(1, 2))


def test_noise_has_the_deviation_and_the_correlation_it_should() -> None:
    planner = MPPI(n_candidates=20000, horizon=6, correlation=0.7)
    noise = planner.noise(1, 1, rng())[0, 1:, :, 0]
    torch.testing.assert_close(noise.std(0), torch.ones(6), atol=0.03, rtol=0)
    correlation = torch.corrcoef(noise.T)
    torch.testing.assert_close(correlation[0], 0.7 ** torch.arange(6.0), atol=0.03, rtol=0)
    torch.testing.assert_close(correlation[3, 4], torch.tensor(0.7), atol=0.03, rtol=0)
    white = MPPI(n_candidates=20000, horizon=3, correlation=0).noise(1, 1, rng())[0, 1:, :, 0]
    assert torch.corrcoef(white.T).triu(1).abs().max() < 0.03


def test_a_perfect_plan_is_kept_as_the_first_candidate() -> None:
    goal = torch.tensor([[[0.8, 0.8]]])
    perfect = torch.ones(1, 4, 2)
    planner = CEM(horizon=4, n_elites=2, momentum=0)
    plan = planner.improve(point, distance(goal), torch.zeros(1, 2), perfect, rng())
    torch.testing.assert_close(plan, perfect, atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MPPI(n_candidates=1), "n_candidates is 1"),
        (lambda: MPPI(horizon=0), "horizon is 0"),
        (lambda: MPPI(deviation=0), "deviation is 0"),
        (lambda: MPPI(correlation=1), "correlation is 1"),
        (lambda: MPPI(temperature=0), "temperature is 0"),
        (lambda: MPPI(n_iterations=0), "n_iterations is 0"),
        (lambda: CEM(n_elites=1), "n_elites is 1"),
        (lambda: CEM(n_iterations=0), "n_iterations is 0"),
        (lambda: CEM(momentum=1), "momentum is 1"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
