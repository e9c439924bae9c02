from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.robots import Car
from tests.robots import needs_robot, states_of

PLAIN = {"left": 1.0, "right": 1.0, "friction": 1.0, "payload": 0.0, "slope": 0.0, "downhill": 0.0}


def drive(actions: list[float], n_steps: int = 20, heading: float | None = None, **dynamics: float) -> np.ndarray:
    """The last state of a car, in its own first frame."""
    simulation = Car().simulation(PLAIN | dynamics, np.random.default_rng(0))
    if heading is not None:
        simulation.data.qpos[3:7] = math.cos(heading / 2), 0, 0, math.sin(heading / 2)
        simulation.state = simulation.observe()
    first = simulation.state.copy()
    for _ in range(n_steps):
        simulation.step(np.array(actions, dtype=np.float32))
    last = torch.from_numpy(simulation.state)
    return Car().change(torch.from_numpy(first), last)[:3].numpy()


@needs_robot
def test_motors_drive_straight_and_turn() -> None:
    forward, sideways, turn = drive([1, 1])
    assert 1.0 < forward < 2.0
    assert abs(sideways) < 0.05
    assert abs(turn) < 0.05
    assert drive([-1, -1])[0] < -1.0
    forward, sideways, turn = drive([-0.3, 0.3], n_steps=5)
    assert abs(forward) < 0.02
    assert turn > 0.2


@needs_robot
def test_dynamics_do_what_their_names_say() -> None:
    straight = drive([1, 1])[0]
    assert drive([1, 1], left=-1.0, right=-1.0)[0] == pytest.approx(-straight, rel=0.05)
    assert drive([-1, 1], left=-1.0)[0] == pytest.approx(straight, rel=0.05)
    assert drive([1, 1], right=0.4, n_steps=5)[2] < -0.2
    assert drive([1, 1], friction=0.06)[0] < 0.7 * straight
    assert drive([1, 1], payload=4.0)[0] < 0.9 * straight
    assert drive([0, 0], slope=10.0, heading=0.0)[0] > 0.3
    assert drive([0, 0], slope=10.0, downhill=math.pi, heading=0.0)[0] < -0.3


def test_families_are_in_the_order_of_the_stream_and_differ() -> None:
    car = Car()
    assert car.families == ("nominal", "left reversed", "ice", "right weak", "both reversed, payload", "slope")

    def draws(family: str, name: str) -> np.ndarray:
        return np.array([car.draw(family, np.random.default_rng(i))[name] for i in range(50)])

    assert (draws("left reversed", "left") < 0).all()
    assert (draws("left reversed", "right") > 0).all()
    assert (draws("ice", "friction") < 0.2).all()
    assert (draws("right weak", "right") < 0.6).all()
    assert (draws("both reversed, payload", "payload") >= 2).all()
    assert (draws("slope", "slope") >= 6).all()
    for left in (-1, 1):
        for right in (-1, 1):
            both = (np.sign(draws("any", "left")) == left) & (np.sign(draws("any", "right")) == right)
            assert both.any()


@needs_robot
def test_features_ignore_the_place_and_changes_the_direction() -> None:
    car = Car()
    states, _ = states_of(car, "nominal")
    moved = states.clone()
    moved[:, :2] += torch.tensor([3.0, -7.0])
    assert torch.equal(car.features(states), car.features(moved))
    angle = torch.tensor(2.0)
    turned = states.clone()
    turned[:, 0] = angle.cos() * states[:, 0] - angle.sin() * states[:, 1]
    turned[:, 1] = angle.sin() * states[:, 0] + angle.cos() * states[:, 1]
    turned[:, 2] += angle
    torch.testing.assert_close(
        car.change(turned[:-1], turned[1:]), car.change(states[:-1], states[1:]), atol=1e-5, rtol=1e-4
    )


def test_a_turn_across_the_back_is_small() -> None:
    before, after = torch.zeros(8), torch.zeros(8)
    before[2], after[2] = math.pi - 0.1, -math.pi + 0.1
    assert Car().change(before, after)[2].item() == pytest.approx(0.2, abs=1e-5)


@needs_robot
def test_a_simple_law_needs_the_signs_of_the_gains() -> None:
    car = Car(goal_distance=(1.0, 1.5))
    for family in ("nominal", "left reversed"):
        rng = np.random.default_rng(3)
        for knows_signs in (True, False):
            simulation = car.simulation(car.draw(family, rng), rng)
            gains = np.array([simulation.dynamics["left"], simulation.dynamics["right"]])
            goals = [simulation.goal]
            for _ in range(60):
                x, y, heading, _, _, yaw, _, _ = simulation.state.tolist()
                error = math.atan2(simulation.goal[1] - y, simulation.goal[0] - x) - heading
                ahead, turn = math.cos(error), 1.5 * math.sin(error) * np.sign(math.cos(error)) - 0.12 * yaw
                wanted = np.array([ahead - turn, ahead + turn]) / max(1, abs(ahead) + abs(turn))
                simulation.step((wanted * (np.sign(gains) if knows_signs else 1)).astype(np.float32))
                if not np.array_equal(goals[-1], simulation.goal):
                    goals.append(simulation.goal)
            measures = simulation.measures()
            reached = knows_signs or family == "nominal"
            assert measures["success"] == reached
            assert measures["goals_per_10_s"] == pytest.approx((len(goals) - 1) / 0.6)
            place = simulation.state[:2]
            assert measures["distance"] == pytest.approx(float(np.linalg.norm(place - goals[-1])), abs=1e-5)
            for one, other in pairwise(goals):
                assert 0.7 < np.linalg.norm(one - other) < 1.8


@pytest.mark.parametrize(
    "settings", [{"episode_steps": 0}, {"tolerance": 0.0}, {"goal_distance": (2.0, 1.0)}, {"goal_distance": (0.1, 1.0)}]
)
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Car.*{next(iter(settings))}"):
        Car(**settings)
