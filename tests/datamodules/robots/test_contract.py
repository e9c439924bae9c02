"""Laws that every robot obeys."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from datamodules.robots import Car, GymRobot, Reacher
from lifelong.control.robot import Robot
from tests.robots import needs_robot, states_of


def hopper() -> GymRobot:
    families = {"nominal": {}, "weak foot": {"actuator_gain.foot_joint": (0.2, 0.4)}}
    return GymRobot(id="Hopper-v5", varied={"body_mass": (0.8, 1.2)}, families=families)  # type: ignore[arg-type]


ROBOTS: dict[str, tuple[Callable[[], Robot], tuple[str, ...]]] = {
    "Car": (Car, (*Car.families, "any")),
    "GymRobot": (hopper, ("nominal", "weak foot")),
    "Reacher": (Reacher, (*Reacher.families, "any")),
}
"""Each robot, and all families that it draws: one row makes one obey all laws."""

every = pytest.mark.parametrize(("make", "families"), ROBOTS.values(), ids=ROBOTS.keys())


@needs_robot
@every
def test_the_same_numbers_make_the_same_robot_do_the_same(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    for family in families:
        (one, _), (again, _), (other, _) = (states_of(make(), family, 8, seed) for seed in (0, 0, 1))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)


@needs_robot
@every
def test_numbers_are_as_many_as_the_robot_says(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    robot = make()
    states, actions = states_of(robot, families[0])
    assert states.dtype == actions.dtype == torch.float32
    assert states.shape == (21, robot.n_states)
    assert actions.shape == (20, robot.n_actions)
    assert actions.abs().max() <= 1
    assert robot.features(states).shape == (21, robot.n_features)
    assert robot.change(states[:-1], states[1:]).shape == (20, robot.n_changes)
    for units, n in ((robot.feature_units, robot.n_features), (robot.change_units, robot.n_changes)):
        assert len(units) in (0, n)
    for family in families:
        dynamics = robot.draw(family, np.random.default_rng(0))
        values = robot.parameter_values(dynamics)
        assert values.shape == (len(robot.parameters),)
        assert values.dtype == np.float32
        assert np.abs(values).max() <= 5
        assert all(isinstance(value, float) for value in dynamics.values())
    assert set(robot.families) <= set(families)


@needs_robot
@every
def test_advance_undoes_change_for_all_that_the_cost_depends_on(
    make: Callable[[], Robot], families: tuple[str, ...]
) -> None:
    robot = make()
    for family in families:
        states, actions = states_of(robot, family)
        simulation = robot.simulation(robot.draw(family, np.random.default_rng(2)), np.random.default_rng(2))
        goal = torch.from_numpy(simulation.goal)
        reached = robot.advance(states[:-1], robot.change(states[:-1], states[1:]))
        torch.testing.assert_close(robot.features(reached), robot.features(states[1:]), atol=2e-5, rtol=1e-4)
        wanted = robot.cost(states[1:], actions, goal)
        assert wanted.shape == (20,)
        torch.testing.assert_close(robot.cost(reached, actions, goal), wanted, atol=2e-5, rtol=1e-4)
        many = robot.cost(states[1:].expand(3, 20, -1), actions, goal.expand(3, 20, -1))
        torch.testing.assert_close(many, wanted.expand(3, -1))


@needs_robot
@every
def test_a_reset_is_a_beginning(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    robot, rng = make(), np.random.default_rng(0)
    simulation = robot.simulation(robot.draw(families[0], rng), np.random.default_rng(5))
    first, goal, measures = simulation.state.copy(), simulation.goal.copy(), simulation.measures()
    for action in robot.excite(6, rng):
        simulation.step(action)
    assert not np.array_equal(simulation.state, first)
    simulation.reset(np.random.default_rng(5))
    assert np.array_equal(simulation.state, first)
    assert np.array_equal(simulation.goal, goal)
    assert simulation.measures() == measures
    assert {"success", "return"} & set(measures)
    assert not simulation.is_over


@needs_robot
@every
def test_wrong_actions_and_families_are_one_sentence(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    robot, rng = make(), np.random.default_rng(0)
    simulation = robot.simulation(robot.draw(families[0], rng), rng)
    n = robot.n_actions
    with pytest.raises(ValueError, match=rf"takes {n} numbers as an action, but got \[{n + 1}\]"):
        simulation.step(np.zeros(n + 1, dtype=np.float32))
    with pytest.raises(ValueError, match="it must be finite"):
        simulation.step(np.full(n, np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match=r"has no family 'lava': choose from nominal"):
        robot.draw("lava", rng)


@needs_robot
@every
def test_actions_beyond_one_are_clipped(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    robot, states = make(), []
    for size in (1.0, 7.0):
        rng = np.random.default_rng(0)
        simulation = robot.simulation(robot.draw(families[0], rng), rng)
        simulation.step(np.full(robot.n_actions, size, dtype=np.float32))
        states.append(simulation.state)
    assert np.array_equal(*states)


@needs_robot
@every
def test_an_unstable_simulation_is_one_sentence(
    make: Callable[[], Robot], families: tuple[str, ...], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]  # MuJoCo writes a log where it stands
    robot, rng = make(), np.random.default_rng(0)
    simulation = robot.simulation(robot.draw(families[0], rng), rng)
    simulation.data.qvel[:] = 1e12  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"became unstable: .* narrow the ranges of these dynamics"):
        simulation.step(np.zeros(robot.n_actions, dtype=np.float32))


@needs_robot
@every
def test_pictures_show_something(make: Callable[[], Robot], families: tuple[str, ...]) -> None:
    robot, rng = make(), np.random.default_rng(0)
    simulation = robot.simulation(robot.draw(families[0], rng), rng)
    first = simulation.frame()
    assert first.shape == (360, 480, 3)
    assert first.dtype == np.uint8
    assert first.std() > 5
    for action in robot.excite(10, rng):
        simulation.step(action)
    assert not np.array_equal(simulation.frame(), first)
    simulation.close()


@pytest.mark.parametrize("package", ["mujoco", "gymnasium"])
@pytest.mark.parametrize("name", ROBOTS)
def test_a_missing_extra_is_one_line(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "Car" and package == "gymnasium":
        return  # it needs none
    monkeypatch.setitem(__import__("sys").modules, "mujoco", None)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=rf"{name} needs the package .*\[robot\]"):
        ROBOTS[name][0]().simulation({"left": 1.0, "friction": 1.0}, rng)
