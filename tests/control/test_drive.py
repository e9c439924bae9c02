from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lifelong.control.drive import run_episodes
from tests.control.driving import driven
from tests.control.points import Point, Points


def test_drives_repeat_and_start_alike_without_adaptation(maml: Any) -> None:
    source, module, data = maml
    state = torch.get_rng_state()
    one, two, before = (driven(source, module, data, 1, adapt=adapt) for adapt in (True, True, False))
    assert np.array_equal(one.states, two.states, equal_nan=True)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(one.states[:, 0], before.states[:, 0])
    assert np.array_equal(one.goals[:, 0], before.goals[:, 0])
    assert not np.array_equal(one.actions, before.actions, equal_nan=True)


def test_what_comes_after_the_end_of_an_episode_is_nan(maml: Any) -> None:
    source, module, data = maml
    drive = driven(source, module, data, 0, film=True)
    n_steps = np.isfinite(drive.actions[..., 0]).sum(1)
    assert n_steps.max() < 20
    for robot, n in enumerate(n_steps):
        assert np.isfinite(drive.states[robot, : n + 1]).all()
        assert np.isnan(drive.states[robot, n + 1 :]).all()
        assert np.isnan(drive.goals[robot, n + 1 :]).all()
    assert len(drive.frames) == n_steps[0] or len(drive.frames) == n_steps[0] + 1


def test_an_unstable_robot_fails_and_the_others_go_on(maml: Any) -> None:
    _, module, data = maml
    source = Points(breaks=3)
    drive = driven(source, module, data, 0)
    assert drive.failures == ("robot 2: the point became unstable",)
    assert drive.scores.tolist() == [1, 0, 1, 1, 1, 1]
    assert np.isfinite(drive.actions[1]).all(-1).sum() == 2


def test_infinite_actions_fail_and_a_mistake_is_no_failure() -> None:
    robot, rng = Point(5), np.random.default_rng(0)
    robots = [robot.simulation(robot.draw("nominal", rng), rng) for _ in range(2)]
    broken = torch.tensor([[0.1, 0.1], [torch.nan, 0.0]])
    drive = run_episodes(robots, lambda state, goal: broken, 4, rng)
    assert len(drive.failures) == 1
    assert "robot 2: the learner answers [nan, 0.0]" in drive.failures[0]
    with pytest.raises(ValueError, match="broadcast"):
        run_episodes(robots, lambda state, goal: torch.zeros(2, 3), 4, rng)


def test_a_failed_robot_returns_at_most_nothing() -> None:
    class Paid(type(Point().simulation({"gains": [1, 1]}, np.random.default_rng(0)))):  # type: ignore[misc]
        def measures(self) -> dict[str, float]:
            return {"return": 7.0}

    robots = [Paid({"gains": [1, 1], "breaks": b}, np.random.default_rng(3)) for b in (2, 9)]
    drive = run_episodes(robots, lambda state, goal: torch.zeros(2, 2), 4, np.random.default_rng(1))
    assert drive.score_name == "return"
    assert drive.scores.tolist() == [0.0, 7.0]
