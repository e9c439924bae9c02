from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.robots import Reacher
from tests.robots import needs_robot

PLAIN = {"first": 1.0, "second": 1.0, "damping": 1.0}


@needs_robot
def test_forward_kinematics_are_the_simulators() -> None:
    reacher, rng = Reacher(), np.random.default_rng(0)
    for _ in range(10):
        simulation = reacher.simulation(PLAIN, rng)
        state = torch.from_numpy(simulation.state)
        place = simulation.data.body("fingertip").xpos[:2]
        np.testing.assert_allclose(reacher.fingertip(state).numpy(), place, atol=1e-6)
        distance = reacher.cost(state, torch.zeros(2), torch.from_numpy(simulation.goal)).item()
        assert simulation.measures()["distance"] == pytest.approx(distance, abs=1e-5)
        np.testing.assert_allclose(simulation.data.body("target").xpos[:2], simulation.goal, atol=1e-6)
        assert np.linalg.norm(simulation.goal) <= 0.2


def speeds(**dynamics: float) -> np.ndarray:
    simulation = Reacher().simulation(PLAIN | dynamics, np.random.default_rng(0))
    for _ in range(5):
        simulation.step(np.array([0.5, -0.5], dtype=np.float32))
    return simulation.state[2:]


@needs_robot
def test_dynamics_do_what_their_names_say() -> None:
    plain = speeds()
    assert plain[0] > 1
    assert plain[1] < -1
    np.testing.assert_allclose(speeds(first=-1.0)[0], -plain[0], rtol=0.05)
    np.testing.assert_allclose(speeds(second=-0.5)[1], -0.5 * plain[1], rtol=0.05)
    assert (np.abs(speeds(damping=5.0)) < 0.9 * np.abs(plain)).all()


@needs_robot
def test_success_is_where_the_fingertip_is_now() -> None:
    simulation = Reacher().simulation(PLAIN, np.random.default_rng(0))
    for offset, success in ((0.02, 1.0), (0.04, 0.0)):
        simulation.goal = (simulation.data.body("fingertip").xpos[:2] + np.array([offset, 0])).astype(np.float32)
        assert simulation.measures()["success"] == success


def test_families_differ_in_signs_and_gains() -> None:
    reacher = Reacher()

    def draws(family: str) -> np.ndarray:
        drawn = [reacher.draw(family, np.random.default_rng(i)) for i in range(40)]
        return np.array([[d["first"], d["second"]] for d in drawn])

    signs = {"nominal": [1, 1], "first joint reversed": [-1, 1], "second joint reversed": [1, -1]}
    for family, wanted in (signs | {"both reversed": [-1, -1], "weak": [1, 1]}).items():
        assert (np.sign(draws(family)) == wanted).all(), family
    assert draws("weak").max() < 0.6
    assert {tuple(row) for row in np.sign(draws("any")).tolist()} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_pushes_are_taken_back() -> None:
    actions = Reacher().excite(400, np.random.default_rng(0))
    assert np.abs(actions.sum(axis=0)).max() <= 8
    assert actions.std() > 0.5


@pytest.mark.parametrize("settings", [{"episode_steps": 0}, {"tolerance": 0.0}, {"strength": 0.0}, {"strength": 2.0}])
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Reacher.*{next(iter(settings))}"):
        Reacher(**settings)
