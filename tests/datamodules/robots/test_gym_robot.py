from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.robots import GymRobot
from datamodules.robots.gym_robot import make, scale
from tests.robots import needs_robot, states_of


def cheetah(**settings: Any) -> GymRobot:
    return GymRobot(id="HalfCheetah-v5", **settings)


@needs_robot
def test_states_are_observations_and_the_reward() -> None:
    robot, rng = cheetah(), np.random.default_rng(0)
    simulation = robot.simulation({}, np.random.default_rng(1))
    env, actions, rewards = make("HalfCheetah-v5", {}), robot.excite(6, rng), []
    observation, _ = env.reset(seed=int(np.random.default_rng(1).integers(2**31)))
    np.testing.assert_allclose(simulation.state, [*observation, 0], rtol=1e-6)
    for action in actions:
        observation, reward, *_ = env.step(action)
        rewards.append(reward)
        simulation.step(action)
        np.testing.assert_allclose(simulation.state, [*observation, reward], rtol=1e-5)
    assert simulation.measures()["return"] == pytest.approx(sum(rewards))
    states, acted = states_of(robot, "nominal")
    change = robot.change(states[:-1], states[1:])
    assert torch.equal(change[:, -1], states[1:, -1])
    assert torch.equal(robot.cost(states[1:], acted, torch.zeros(0)), -states[1:, -1])


@needs_robot
def test_what_varies_is_multiplied() -> None:
    env = make("HalfCheetah-v5", {})
    plain, model = make("HalfCheetah-v5", {}).model, env.model
    for path, factor in {
        "actuator_gain.bfoot": 0.0,
        "body_mass": 2.0,
        "dof_damping.bthigh": 3.0,
        "gravity": 0.5,
    }.items():
        scale(model, path, factor, "cheetah")
    scale(model, "geom_friction.floor", 0.1, "cheetah")
    foot, thigh = plain.actuator("bfoot").id, plain.joint("bthigh").dofadr[0]
    assert model.actuator_gainprm[foot, 0] == 0
    np.testing.assert_array_equal(
        np.delete(model.actuator_gainprm, foot, 0), np.delete(plain.actuator_gainprm, foot, 0)
    )
    np.testing.assert_allclose(model.body_mass, 2 * plain.body_mass)
    np.testing.assert_allclose(model.body_inertia, 2 * plain.body_inertia)
    assert model.dof_damping[thigh] == pytest.approx(3 * plain.dof_damping[thigh])
    np.testing.assert_allclose(model.opt.gravity, plain.opt.gravity / 2)
    floor = plain.geom("floor").id
    np.testing.assert_allclose(model.geom_friction[floor], 0.1 * plain.geom_friction[floor])


@needs_robot
def test_families_vary_what_they_name_and_share_the_rest() -> None:
    robot = cheetah(
        varied={"body_mass": (0.8, 1.2)},
        families={"nominal": {}, "crippled": {"actuator_gain.bfoot": (0, 0)}, "heavy": {"body_mass": (2, 3)}},
    )
    assert robot.families == ("nominal", "crippled", "heavy")
    assert robot.parameters == ("body_mass", "actuator_gain.bfoot")
    rng = np.random.default_rng(0)
    nominal, crippled, heavy = (robot.draw(family, rng) for family in robot.families)
    assert 0.8 <= nominal["body_mass"] <= 1.2
    assert nominal["actuator_gain.bfoot"] == 1
    assert crippled["actuator_gain.bfoot"] == 0
    assert 2 <= heavy["body_mass"] <= 3
    np.testing.assert_allclose(robot.parameter_values(heavy), [heavy["body_mass"], 1], rtol=1e-6)


@needs_robot
def test_a_robot_that_fell_is_over() -> None:
    robot, rng = GymRobot(id="Hopper-v5"), np.random.default_rng(0)
    simulation = robot.simulation({}, rng)
    for _ in range(100):
        if simulation.is_over:
            break
        simulation.step(np.ones(3, dtype=np.float32))
    assert simulation.is_over
    simulation.reset(rng)
    assert not simulation.is_over


def test_an_id_that_imports_a_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ValueError, match="the id 'stranger:Car-v0', which imports a module: give the id alone, and a robot"
    ):
        GymRobot(id="stranger:Car-v0")


@needs_robot
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "HalfCamel-v5"}, "gymnasium cannot make 'HalfCamel-v5'"),
        ({"id": "CartPole-v1"}, "CartPole-v1 is not a MuJoCo environment"),
        ({"id": "Reacher-v5", "options": {"colour": 1}}, "gymnasium cannot make 'Reacher-v5'"),
        ({"id": "Reacher-v5", "episode_steps": 0}, "episode_steps of Reacher-v5 is 0"),
        ({"id": "Reacher-v5", "varied": {"colour": (1, 2)}}, "cannot vary 'colour': name one of actuator_gain"),
        ({"id": "Reacher-v5", "varied": {"gravity.x": (1, 2)}}, "cannot vary 'gravity.x'"),
        ({"id": "Reacher-v5", "varied": {"body_mass.leg": (1, 2)}}, "Reacher-v5 has no body 'leg' to vary"),
        ({"id": "Reacher-v5", "families": {"a": {"body_mass": (2, 1)}}}, r"has the range \(2, 1\)"),
    ],
)
def test_what_is_wrong_is_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GymRobot(**settings)
