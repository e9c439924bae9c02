"""A person's own gymnasium environments are learnt and driven as every robot is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lifelong
from datamodules import Dynamics, EpisodicDataModule
from datamodules.robots import Environments
from lifelong.control import MPPI, ClosedLoop
from lifelong.learners import MAML
from lifelong.networks import MLP

gymnasium = pytest.importorskip("gymnasium")
Box = gymnasium.spaces.Box


class Cart(gymnasium.Env):  # type: ignore[misc, name-defined]
    """A cart on a line that is rewarded for being near the middle; its motor takes from 0 to 4."""

    observation_space = Box(-np.inf, np.inf, (2,))

    def __init__(self, power: float, n_actions: int = 1) -> None:
        self.power = power
        self.action_space = Box(0, 4, (n_actions,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-1, 1, 2)
        return self.at, {}

    def step(self, action: np.ndarray) -> Any:
        assert self.action_space.contains(action)
        self.at = np.array([self.at[0] + 0.1 * self.at[1], 0.9 * self.at[1] + 0.1 * self.power * (action[0] - 2)])
        return self.at, -float(self.at[0] ** 2), False, False, {}

    def render(self) -> None:
        return None


def healthy(rng: np.random.Generator) -> Cart:
    return Cart(rng.uniform(0.8, 1.2))


def reversed_motor(rng: np.random.Generator) -> Cart:
    return Cart(-rng.uniform(0.8, 1.2))


def carts() -> Environments:
    return Environments({"healthy": healthy, "reversed": reversed_motor}, episode_steps=10)


def test_actions_cover_the_range_of_the_environment() -> None:
    robot, rng = carts(), np.random.default_rng(0)
    cart = robot.simulation(robot.draw("healthy", rng), rng)
    for action, ours in ((-1, 0.0), (0, 2.0), (1, 4.0)):
        before = cart.state
        cart.step(np.array([action], dtype=np.float32))
        gained = cart.state[1] - 0.9 * before[1]
        assert gained == pytest.approx(0.1 * cart._env.power * (ours - 2), abs=1e-6)
    assert cart.state[2] == pytest.approx(-(cart.state[0] ** 2), abs=1e-5)
    assert cart.measures()["return"] < 0


def test_rounding_leaves_no_action_out_of_bounds() -> None:
    class Narrow(Cart):
        action_space = Box(np.float32(0.3), np.float32(0.4), (1,))  # of which middle and half add up to more than 0.4

        def __init__(self) -> None:
            self.power = 1.0

    robot, rng = Environments({"a": lambda rng: Narrow()}), np.random.default_rng(0)
    cart = robot.simulation(robot.draw("a", rng), rng)
    for action in (-1, 1):
        cart.step(np.array([action], dtype=np.float32))


@pytest.mark.parametrize("place", [2, 3], ids=["terminated", "truncated"])
def test_an_episode_ends_when_the_environment_says_so(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, rng = carts(), np.random.default_rng(0)
    cart = robot.simulation(robot.draw("healthy", rng), rng)
    cart.step(np.zeros(1, dtype=np.float32))
    assert not cart.is_over
    ends = [np.zeros(2), 0.0, place == 2, place == 3, {}]
    monkeypatch.setattr(cart._env, "step", lambda action: ends)
    cart.step(np.zeros(1, dtype=np.float32))
    assert cart.is_over
    cart.reset(rng)
    assert not cart.is_over


@pytest.mark.parametrize("ends", [([np.nan, 0], 0.0), ([0, 0], np.inf)], ids=["observation", "reward"])
def test_what_is_not_finite_is_refused(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, rng = carts(), np.random.default_rng(0)
    cart = robot.simulation(robot.draw("healthy", rng), rng)
    monkeypatch.setattr(cart._env, "step", lambda action: (np.array(ends[0]), ends[1], False, False, {}))
    with pytest.raises(ValueError, match="an environment of 'healthy' gave an observation or a reward that is not"):
        cart.step(np.zeros(1, dtype=np.float32))


def test_one_seed_makes_one_robot_and_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    source = Dynamics(robot=carts(), n_robots=3, n_segments=1, segment_length=8)
    first, second = ([domain.x for domain in source.domains()] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert not (first[0] == first[1]).all()
    assert not (tmp_path / "cache").exists()
    powers = {
        carts().simulation({"family": "reversed", "seed": s}, np.random.default_rng(0))._env.power for s in (1, 2)
    }
    assert len(powers) == 2
    assert max(powers) < 0


@pytest.mark.filterwarnings("ignore")
def test_they_are_learnt_and_driven_in_closed_loop(tmp_path: Path) -> None:
    robot = carts()
    source = Dynamics(
        robot=robot, n_robots=10, n_segments=1, segment_length=16, planner=MPPI(n_candidates=8, horizon=4)
    )
    shape: dict[str, Any] = {"n_way": 1, "n_shot": 8, "n_query": 4, "split": (0.2, 0.2), "n_eval_tasks": 4}
    data = EpisodicDataModule([source], steps_per_experience=3, **shape)
    network = MLP(n_inputs=robot.n_features + robot.n_actions, hidden=[8], n_outputs=robot.n_changes)
    callback = ClosedLoop(n_robots=2, support_sizes=[])
    trainer: dict[str, Any] = {"logger": False, "accelerator": "cpu", "callbacks": [callback]}
    run = lifelong.fit(
        MAML(network, task="regression"), data, run=tmp_path / "run", quiet=True, report=False, **trainer
    )
    assert list(run.domains) == ["healthy", "reversed"]
    assert callback.result is not None
    assert callback.result.score == "return"
    assert np.isfinite(callback.result.measures["return"].mean).all()
    assert (run.folder / "config.yaml").read_text().startswith("# Made in Python by objects that do not record")
    assert lifelong.load(run.folder, data=data).test(quiet=True).matrix.shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        ({}, "Environments has no family"),
        ({"a": lambda rng: Cart(1.0), "b": lambda rng: Cart(1.0, 2)}, "the environment of 'b' has 2 observed numbers"),
        ({"a": lambda rng: gymnasium.make("CartPole-v1")}, "both must be Box spaces of one dimension"),
    ],
    ids=["none", "unlike", "discrete"],
)
def test_what_no_model_can_be_of_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Environments(make)


def test_without_pictures_a_film_is_refused() -> None:
    robot, rng = carts(), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"renders no picture: make its environments with render_mode=\"rgb_array\""):
        robot.simulation(robot.draw("healthy", rng), rng).frame()
