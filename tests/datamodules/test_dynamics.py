from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import Dynamics, dynamics
from datamodules.episodic import EpisodicDataModule
from datamodules.robots import Car
from lifelong.control.cem import CEM
from lifelong.control.model_predictive import ModelPredictive
from lifelong.data.domain import Domain
from lifelong.utilities.recording import record
from tests.robots import Slider, SliderSimulation, needs_robot

CPU = torch.device("cpu")


def slides(robot: Slider | None = None, **settings: Any) -> Dynamics:
    few: dict[str, Any] = {"n_robots": 6, "n_segments": 2, "segment_length": 8}
    return Dynamics(robot=robot or Slider(), **(few | settings))


def gains(domain: Domain, source: Dynamics) -> np.ndarray:
    """Of every transition, from its input and target."""
    space = source.space
    action = domain.x[:, 1] * space.deviation[1] + space.mean[1]
    return (space.decode(domain.targets)[:, 0] / action).numpy()  # type: ignore[arg-type]


def test_a_class_is_a_segment_of_one_robot() -> None:
    source = slides()
    nominal, reversed_ = source.domains()
    assert [nominal.name, reversed_.name] == ["nominal", "reversed"]
    for domain, sign in ((nominal, 1), (reversed_, -1)):
        assert domain.x.shape == (96, 2)
        assert domain.x.dtype == torch.float32
        assert domain.targets is not None
        assert domain.targets.shape == (96, 1)
        assert domain.y.tolist() == [i // 8 for i in range(96)]
        assert domain.ordered
        assert domain.siblings == 2
        assert list(domain.class_names)[:3] == ["robot 1, segment 1", "robot 1, segment 2", "robot 2, segment 1"]
        by_robot = gains(domain, source).reshape(6, 16)
        np.testing.assert_allclose(by_robot, by_robot[:, :1].repeat(16, 1), rtol=1e-3)
        assert (np.sign(by_robot) == sign).all()
        assert len(np.unique(by_robot[:, 0].round(3))) == 6


def test_transitions_are_consecutive_without_resets() -> None:
    source = slides()
    for domain in source.domains():
        state = domain.x[:, 0] * source.space.deviation[0] + source.space.mean[0]
        change = source.space.decode(domain.targets)[:, 0]  # type: ignore[arg-type]
        after, following = (state + change).reshape(12, 8), state.reshape(12, 8)
        torch.testing.assert_close(after[:, :-1], following[:, 1:], atol=1e-4, rtol=1e-4)
        assert (after[:-1, -1] - following[1:, 0]).abs().min() > 1e-4
        assert following[:, 0].abs().max() <= 1.001


def test_inputs_are_scaled_by_the_nominal_family_always() -> None:
    spaces = [slides(**s).space for s in ({}, {"families": ["reversed"]}, {"n_robots": 2, "seed": 3})]
    for space in spaces[1:]:
        assert torch.equal(space.mean, spaces[0].mean)
        assert torch.equal(space.deviation, spaces[0].deviation)
        assert torch.equal(space.change, spaces[0].change)
    nominal = slides(n_robots=64, n_segments=1, segment_length=64).domains()[0]
    torch.testing.assert_close(nominal.x.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(nominal.x.std(dim=0), torch.ones(2), atol=1e-3, rtol=0)
    assert nominal.targets is not None
    torch.testing.assert_close(nominal.targets.std(dim=0), torch.ones(1), atol=1e-3, rtol=0)


def test_numbers_of_one_unit_share_a_scale() -> None:
    x = torch.tensor([[0.0, 0, 5], [2, 200, 5], [4, 400, 5]])
    assert dynamics._deviation(x, ()).tolist() == [2, 200, 1]
    assert dynamics._deviation(x, ("m", "m", "kg")).tolist() == [200, 200, 1]


@pytest.mark.parametrize("told", [False, True])
def test_the_space_encodes_as_the_data_are(told: bool) -> None:
    source = slides(told=told)
    space, (domain, _) = source.space, source.domains()
    rng = np.random.default_rng(0)
    simulation = source.robot.simulation({"gain": 0.7}, rng)
    state, action = torch.from_numpy(simulation.state), torch.tensor([0.4])
    simulation.step(action.numpy())
    change = source.robot.change(state, torch.from_numpy(simulation.state))
    parameters = space.true_parameters(simulation)
    x = space.encode(state, action, None if parameters is None else torch.from_numpy(parameters))
    assert space.n_inputs == len(x) == domain.x.shape[1] == 2 + told
    assert space.n_outputs == 1
    if told:
        assert x[2].item() == pytest.approx(0.7)
        assert torch.unique(domain.x[:, 2].reshape(6, 16), dim=1).shape == (6, 1)
    expected = torch.stack([state[0], action[0]]).sub(space.mean).div(space.deviation)
    torch.testing.assert_close(x[:2], expected)
    torch.testing.assert_close(space.decode(space.target(change)), change)
    many = space.encode(state.expand(3, 4, 1), action.expand(3, 4, 1), torch.zeros(3, 1, 1) if told else None)
    assert many.shape == (3, 4, 2 + told)


def test_inputs_are_bounded_and_actions_clipped() -> None:
    space = slides().space
    assert space.encode(torch.tensor([1e9]), torch.tensor([0.0]))[0] == 5
    assert torch.equal(space.encode(torch.zeros(1), torch.ones(1) * 9), space.encode(torch.zeros(1), torch.ones(1)))


def test_what_a_model_is_told_must_fit() -> None:
    with pytest.raises(ValueError, match="is told the dynamics here, but they were left out"):
        slides(told=True).space.encode(torch.zeros(1), torch.zeros(1))
    with pytest.raises(ValueError, match="is not told the dynamics here, but they were given"):
        slides().space.encode(torch.zeros(1), torch.zeros(1), torch.zeros(1))


def test_a_robot_depends_on_seed_family_and_number_alone() -> None:
    _, reference = slides().domains()
    (alone,) = slides(families=["reversed"]).domains()
    assert torch.equal(alone.x, reference.x)
    more = slides(n_robots=9).domains()[1]
    assert torch.equal(more.x[: 6 * 16], reference.x)
    assert not torch.equal(slides(seed=1).domains()[1].x, reference.x)


def test_a_family_that_returns_has_its_robots_in_the_same_parts() -> None:
    source = slides(families=["nominal", "reversed", "nominal"])
    few: dict[str, Any] = {"n_way": 1, "n_shot": 3, "n_query": 2, "n_eval_tasks": 4, "split": (0.2, 0.2)}
    stream = EpisodicDataModule([source], **few).stream
    assert stream.domains == ("nominal", "reversed", "nominal 2")
    for parts in (stream.val, stream.test):
        assert parts[0].names == parts[2].names
    for pool in (*stream.val, *stream.test, *(p for e in stream.experiences for p in e.pools)):
        robots = [name.split(",")[0] for name in pool.names]
        assert all(robots.count(robot) == 2 for robot in robots)


def test_tasks_are_windows_of_one_segment() -> None:
    few: dict[str, Any] = {"n_way": 1, "n_shot": 4, "n_query": 3, "n_eval_tasks": 4, "split": (0.2, 0.2)}
    data = EpisodicDataModule([slides()], steps_per_experience=2, tasks_per_batch=2, **few)
    batch = data.draw(data.stream.experiences[1], "train", range(20)).gather(CPU)
    assert batch.support_x.shape == (20, 4, 2)
    assert batch.query_y.shape == (20, 3, 1)
    (domain,) = slides(families=["reversed"]).domains()
    windows = {domain.x[i : i + 7].numpy().tobytes() for i in range(len(domain.x) - 6) if i % 8 <= 1}
    for task in torch.cat([batch.support_x, batch.query_x], dim=1):
        assert task.numpy().tobytes() in windows


def test_what_was_collected_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = slides().domains()
    (folder,) = {path.parent for path in tmp_path.rglob("dynamics-*.npz")}
    assert len(list(folder.iterdir())) == 3  # two families, and the nominal one that all is scaled by

    def refuse(*_: object) -> None:
        raise AssertionError("collected anew")

    with monkeypatch.context() as patch:
        patch.setattr(dynamics, "_drive", refuse)
        for one, other in zip(first, slides().domains(), strict=True):
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.targets, other.targets)  # type: ignore[arg-type]
        for settings in ({"seed": 1}, {"n_robots": 7}, {"n_segments": 3}, {"segment_length": 9}):
            with pytest.raises(AssertionError, match="collected anew"):
                slides(**settings).domains()
        with pytest.raises(AssertionError, match="collected anew"):
            slides(Slider(edge=50)).domains()
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"the arrays in .*dynamics-.*npz are damaged .*: they are collected anew"):
        again = slides().domains()
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.x, other.x)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"transitions cannot be kept in .* with LIFELONG_CACHE"):
        slides().domains()


def test_a_segment_that_a_fall_cut_short_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    fragile = Slider(edge=3.0)
    rng = np.random.default_rng(0)
    simulation = SliderSimulation(fragile, {"gain": 1.5}, rng)
    for _ in range(30):
        states, actions = dynamics._segment(fragile, simulation, 8, rng)
        assert states.shape == (9, 1)
        assert actions.shape == (8, 1)
        assert (np.abs(states[:-1]) <= 3).all()
        np.testing.assert_allclose(states[1:] - states[:-1], 1.5 * actions, rtol=1e-3, atol=1e-6)
    assert simulation.n_resets > 30
    with pytest.raises(ValueError, match="slider fell before 8 control steps in each of 100 attempts: lower segment_l"):
        dynamics._segment(fragile, SliderSimulation(fragile, {"gain": 90.0}, rng), 8, rng)


def test_simulations_are_of_the_family_and_unseen() -> None:
    source = slides()
    made = source.simulations(1, 5, np.random.default_rng(4))
    drawn = [simulation.dynamics["gain"] for simulation in made]
    assert max(drawn) < 0
    assert len(set(drawn)) == 5
    again = source.simulations(1, 5, np.random.default_rng(4))
    assert drawn == [simulation.dynamics["gain"] for simulation in again]
    assert not set(np.round(drawn, 3)) & set(gains(source.domains()[1], source).round(3).tolist())
    with pytest.raises(ValueError, match="has 2 domains, counted from 0, and no domain 2"):
        source.simulations(2, 1, np.random.default_rng(0))


def test_robot_and_planner_are_written_to_a_config() -> None:
    source, unrecorded = slides(Slider(edge=3.0), planner=CEM(horizon=5)), list[str]()
    arguments = record(source, "data.sources", unrecorded)["init_args"]
    assert not unrecorded
    assert arguments["robot"] == {"class_path": "tests.robots.Slider", "init_args": {"edge": 3.0}}
    assert arguments["planner"]["class_path"] == "lifelong.control.CEM"
    assert arguments["planner"]["init_args"]["horizon"] == 5
    assert arguments["n_robots"] == 6


def test_the_controller_plans_in_the_space() -> None:
    planner = CEM()
    source = slides(planner=planner, adapt_every=5)
    controller = source.controller
    assert isinstance(controller, ModelPredictive)
    assert controller.space is source.space
    assert controller.planner is planner
    assert controller.adapt_every == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_robots": 0}, "n_robots is 0"),
        ({"n_segments": 0}, "n_segments is 0"),
        ({"segment_length": 0}, "segment_length is 0"),
        ({"families": []}, r"families \[\]"),
        ({"families": ["lava"]}, "no family 'lava'"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slides(**settings)


@needs_robot
def test_a_car_is_collected() -> None:
    source = Dynamics(robot=Car(), families=["nominal", "ice", "any"], n_robots=2, n_segments=1, segment_length=6)
    for domain in source.domains():
        assert domain.x.shape == (12, 9)
        assert domain.targets is not None
        assert domain.targets.shape == (12, 8)
        assert torch.isfinite(domain.x).all()
        assert torch.isfinite(domain.targets).all()
        assert domain.targets.abs().max() < 30
    assert source.space.deviation[2] == source.space.deviation[3]


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mujoco", None)
    with pytest.raises(ValueError, match=r"Car needs the package mujoco .*\[robot\]"):
        Dynamics(robot=Car()).domains()
