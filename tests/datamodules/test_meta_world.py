from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import MetaWorld, meta_world
from datamodules._meta_world_arm import N_INPUTS, N_SEEN, ArmSimulation, encode
from datamodules.episodic import EpisodicDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.control.imitation import Imitation
from lifelong.learners import NoAdaptation
from lifelong.networks import MLP
from tests.robots import REQUIRED, needs_robot

MISSING = [package for package in ("gymnasium", "mujoco", "metaworld") if importlib.util.find_spec(package) is None]


def needs_meta_world(test: Any) -> Any:
    """Marks a test that needs Meta-World, which the extra ``robot`` brings with the simulator."""
    reason = f"{', '.join(MISSING)} not installed: pip install -e '.[robot]'"
    return pytest.mark.skipif(bool(MISSING) and not REQUIRED, reason=reason)(needs_robot(test))


def presses(**settings: Any) -> MetaWorld:
    """One short demonstration of the task that is over soonest."""
    few: dict[str, Any] = {"tasks": ["handle-press-side-v3"], "n_demonstrations": 1, "n_after": 2}
    return MetaWorld(**(few | settings))


@needs_meta_world
def test_a_class_is_a_demonstration_that_succeeds() -> None:
    (domain,) = presses(n_demonstrations=2).domains()
    assert domain.name == "handle-press-side-v3"
    assert list(domain.class_names) == ["demonstration 1", "demonstration 2"]
    assert domain.targets is not None
    assert domain.x.shape == (len(domain.y), N_INPUTS)
    assert domain.targets.shape == (len(domain.y), 4)
    assert domain.x.dtype == domain.targets.dtype == torch.float32
    assert domain.x.isfinite().all()
    assert domain.targets.abs().max() == 1
    assert (np.diff(domain.y) >= 0).all()
    assert (np.bincount(domain.y) > 15).all()
    goals = domain.x[:, N_SEEN : N_SEEN + 3]
    assert len(goals[torch.from_numpy(domain.y == 0)].unique(dim=0)) == 1, "visible, and the same all along"
    assert not torch.equal(goals[0], goals[-1])


@needs_meta_world
def test_demonstrations_are_repeatable_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (first,) = presses().domains()
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(meta_world, "make_environment", None)
        (again,) = presses().domains()
    kept.write_bytes(content[:100])
    with pytest.warns(UserWarning, match="are damaged .* they are collected anew"):
        (anew,) = presses(tasks=["handle-press-side-v3", "handle-press-side-v3"]).domains()[1:]
    for other in (again, anew):
        assert torch.equal(first.x, other.x)
        assert torch.equal(first.targets, other.targets)  # type: ignore[arg-type]
    (changed,) = presses(seed=1).domains()
    assert not torch.equal(first.x[0], changed.x[0])


@needs_meta_world
def test_collecting_leaves_random_numbers_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    source = presses()
    source.domains()
    source.simulations(0, 1, np.random.default_rng(0))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002


@needs_meta_world
def test_simulations_are_drawn_by_the_generator_alone() -> None:
    source = presses(episode_steps=3)
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 4)).astype(np.float32)
    ways = []
    for _ in range(2):
        one, other = source.simulations(0, 2, np.random.default_rng(5))
        assert not np.array_equal(one.goal, other.goal)
        for action in actions:
            other.step(action)  # and one is not moved by another
            one.step(action)
        ways.append(one.state)
        assert one.is_over
        assert one.measures() == {"success": 0, "return": pytest.approx(one.measures()["return"]), "steps": 3}
        assert one.measures()["return"] > 0
        with pytest.raises(ValueError, match="the episode is over: reset"):
            one.step(actions[0])
        one.reset(np.random.default_rng(6))
        assert not one.is_over
        assert one.measures() == {"success": 0, "return": 0, "steps": 0}
    np.testing.assert_array_equal(*ways)
    assert ways[0].shape == (N_INPUTS,)
    assert ways[0].dtype == np.float32


@needs_meta_world
def test_an_expert_succeeds_in_a_simulation_and_ends_it() -> None:
    from metaworld.policies import ENV_POLICY_MAP

    expert = ENV_POLICY_MAP["handle-press-side-v3"]()
    (arm,) = presses().simulations(0, 1, np.random.default_rng(0))
    assert isinstance(arm, ArmSimulation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for more than is carried out, and says so
        while not arm.is_over:
            arm.step(expert.get_action(arm.observation).astype(np.float32))
    assert arm.measures()["success"] == 1
    assert arm.measures()["steps"] < 100


@needs_meta_world
def test_a_task_can_be_told() -> None:
    source = presses(tasks=["handle-press-side-v3", "push-v3"], tell_task=True)
    assert source.simulations(1, 1, np.random.default_rng(0))[0].state[-2:].tolist() == [0, 1]
    (domain,) = presses(tell_task=True).domains()
    assert domain.x.shape[1] == N_INPUTS + 1
    assert (domain.x[:, -1] == 1).all()


@needs_meta_world
def test_a_learner_of_its_tasks_drives_its_simulations() -> None:
    source = presses(n_demonstrations=3, episode_steps=60)
    data = EpisodicDataModule([source], n_way=1, n_shot=4, n_query=2, n_eval_tasks=2, split=(1, 1))
    learner = NoAdaptation(MLP(n_inputs=N_INPUTS, hidden=[8], n_outputs=4), task="regression").eval()
    assert isinstance(source.controller, Imitation)
    drive = source.controller.drive(
        learner,
        source.simulations(0, 2, np.random.default_rng(0)),
        data.draw_for_evaluation("val", 0, range(2)).gather(torch.device("cpu")),
        np.random.default_rng(0),
        runner=TaskRunner(),
    )
    assert not drive.failures
    assert drive.scores.shape == (2,)
    assert drive.states.shape == (2, 61, N_INPUTS)
    assert drive.actions.shape == (2, 60, 4)


def test_observations_are_encoded_by_fixed_numbers() -> None:
    hand, gripper, first, second, goal = [0.1, 0.6, 0.2], [0.75], [0.1, 0.7, 0.2], [0.0, 0.6, 0.2], [0.1, 0.7, 0.3]
    orientation = [0.5, 0.1, 0.2, 0.3]
    seen = [*hand, *gripper, *first, *orientation, *second, *orientation]
    before = [9.0] * 18
    x = encode(np.array([*seen, *before, *goal]))
    expected = [1, 0, 0, 0.5, 1, 1, 0, *orientation, 0, 0, 0, *orientation, 1, 1, 1]
    ways = [0, 10, 0, -10, 0, 0, 0, 10, 10, 0, 0, 10]
    np.testing.assert_allclose(x, [*expected, *np.arcsinh(ways)], atol=1e-5)
    assert x.shape == (N_INPUTS,)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "metaworld.policies", None)
    with pytest.raises(ValueError, match=r"MetaWorld needs the package metaworld.policies .*\.\[robot\]"):
        presses().domains()


@needs_meta_world
def test_an_unknown_task_is_answered_by_those_like_it() -> None:
    with pytest.raises(ValueError, match="no task 'hamer-v3': near are hammer-v3"):
        presses(tasks=["hamer-v3"]).domains()
    with pytest.raises(ValueError, match="no task 'hamer-v3'"):
        presses(tasks=["hamer-v3"]).simulations(0, 1, np.random.default_rng(0))


@needs_meta_world
def test_an_expert_that_never_succeeds_is_named(tmp_path: Path) -> None:
    expected = "the expert of handle-press-side-v3 failed 10 times and succeeded 0 times within episode_steps 3"
    with pytest.raises(ValueError, match=expected):
        presses(episode_steps=3).domains()
    assert not (tmp_path / "cache").exists()


@needs_meta_world
@pytest.mark.parametrize("action", [[0.0, 0.0, 0.0, np.nan], [0.0, 0.0]])
def test_a_wrong_action_is_refused(action: list[float]) -> None:
    (arm,) = presses().simulations(0, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="actions of 4 finite numbers"):
        arm.step(np.array(action, dtype=np.float32))


@needs_meta_world
def test_an_unstable_simulation_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    (arm,) = presses().simulations(0, 1, np.random.default_rng(0))
    assert isinstance(arm, ArmSimulation)
    broken = np.full(39, np.nan), 0.0, False, False, {"success": False}
    monkeypatch.setattr(arm.environment, "step", lambda _: broken)
    with pytest.raises(ValueError, match="handle-press-side-v3 became unstable at step 1"):
        arm.step(np.zeros(4, dtype=np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": []}, "has no tasks"),
        ({"n_demonstrations": 0}, "n_demonstrations is 0: it must be a whole number, at least 1"),
        ({"episode_steps": 0}, "episode_steps is 0"),
        ({"n_after": -1}, "n_after is -1: it must be a whole number, at least 0"),
        ({"noise": -0.1}, "noise is -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        presses(**settings)


def test_a_domain_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 tasks, numbered from 0, and none has the number 1"):
        presses().simulations(1, 1, np.random.default_rng(0))
