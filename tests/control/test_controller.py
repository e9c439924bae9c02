"""Learners that drive points whose actuators may be reversed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from lifelong import learners
from lifelong.control.adapted import adapt_to
from lifelong.control.calibration import calibrate
from lifelong.control.controller import Imitation, ModelPredictive
from lifelong.control.drive import Drive, act_out
from lifelong.control.planning import CEM, MPPI
from lifelong.data.episode import Episode
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.training.optimizer import OuterLoop
from strategies import AdapterBank
from tests.control.points import SIGNS, Point, Points
from tests.toys import fit

REGRESSION = ("ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "NoAdaptation", "R2D2", "Reptile")


def learner_for(source: Points, name: str = "MAML", **settings: Any) -> Learner:
    torch.manual_seed(0)
    n_inputs = 2 if source.imitate else 6 if source.told else 4
    n_outputs = 8 if name == "R2D2" else 2
    if name == "CAVIA":
        settings["n_context"] = 3
    outer = OuterLoop(optimizer=partial(torch.optim.Adam, lr=0.02))
    make = getattr(learners, name)
    network = MLP(n_inputs=n_inputs, hidden=[16], n_outputs=n_outputs)
    return make(network, task="regression", outer=outer, **settings)  # type: ignore[no-any-return]


def data_of(source: Points, **settings: Any) -> EpisodicDataModule:
    shape = {"n_way": 1, "n_shot": 10, "n_query": 10, "tasks_per_batch": 8, "split": (4, 4), "n_eval_tasks": 8}
    return EpisodicDataModule([source], **({"steps_per_experience": 70, **shape} | settings))


def trained(source: Points, name: str = "MAML", strategies: Any = (), **settings: Any) -> tuple[Learner, Any]:
    learner, data = learner_for(source, name, **settings), data_of(source, joint=not strategies)
    fit(learner, data, strategies)
    return learner.eval(), data


def support(data: EpisodicDataModule, domain: int, n: int = 6) -> Episode:
    return data.draw_for_evaluation("val", domain, range(n)).gather(torch.device("cpu"))


def driven(source: Points, learner: Learner, data: Any, domain: int, **how: Any) -> Drive:
    robots = source.simulations(domain, 6, generator(0, "drive", domain))
    return source.controller.drive(learner, robots, support(data, domain), generator(0, "drive", domain, 1), **how)


@pytest.fixture(scope="module")
def maml() -> tuple[Points, Learner, Any]:
    source = Points()
    settings = {"n_inner_steps": 3, "inner_rate": 0.1, "learn_inner_rate": True}
    torch.set_num_threads(1)
    return source, *trained(source, "MAML", **settings)


def test_an_adapted_model_brings_every_family_to_its_goal_and_the_same_one_unadapted_does_not(maml: Any) -> None:
    source, learner, data = maml
    for domain in range(len(SIGNS)):
        after = driven(source, learner, data, domain)
        assert after.scores.mean() > 0.8
        assert after.score_name == "success"
        assert after.actions.shape == (6, 20, 2)
        assert after.positions is not None
        assert after.states.shape == after.positions.shape == (6, 21, 2)
        assert np.nanmax(np.abs(after.actions)) <= 1
    reversed_before = driven(source, learner, data, 2, adapt=False)
    assert reversed_before.scores.mean() < 0.5


def test_driving_is_repeatable_and_begins_alike_with_and_without_adaptation(maml: Any) -> None:
    source, learner, data = maml
    state = torch.get_rng_state()
    one, two, before = (driven(source, learner, data, 1, adapt=adapt) for adapt in (True, True, False))
    assert np.array_equal(one.states, two.states, equal_nan=True)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(one.states[:, 0], before.states[:, 0])
    assert np.array_equal(one.goals[:, 0], before.goals[:, 0])
    assert not np.array_equal(one.actions, before.actions, equal_nan=True)


def test_what_comes_after_the_end_of_an_episode_is_nan(maml: Any) -> None:
    source, learner, data = maml
    drive = driven(source, learner, data, 0, film=True)
    n_steps = np.isfinite(drive.actions[..., 0]).sum(1)
    assert n_steps.max() < 20
    for robot, n in enumerate(n_steps):
        assert np.isfinite(drive.states[robot, : n + 1]).all()
        assert np.isnan(drive.states[robot, n + 1 :]).all()
        assert np.isnan(drive.goals[robot, n + 1 :]).all()
    assert len(drive.frames) == n_steps[0] or len(drive.frames) == n_steps[0] + 1


@pytest.mark.parametrize("name", REGRESSION)
def test_every_learner_of_regression_can_be_driven(name: str) -> None:
    source = Points(episode_steps=3)
    learner, data = learner_for(source, name), data_of(source)
    data.stream  # noqa: B018
    for adapt in (True, False):
        drive = driven(source, learner, data, 0, adapt=adapt)
        assert np.isfinite(drive.actions).all()
    assert learner.training


@pytest.mark.parametrize("name", REGRESSION)
def test_models_adapted_together_answer_as_one_by_one(name: str) -> None:
    learner = learner_for(Points(), name).eval()
    rng = torch.Generator().manual_seed(0)
    n_inputs = 4
    x, y, queries = (torch.randn(3, n, k, generator=rng) for n, k in ((10, n_inputs), (10, 2), (7, n_inputs)))
    if name == "R2D2":
        y = y.abs()
    together = adapt_to(learner, x, y)(queries)
    params = learner.meta_parameters()
    for r in range(3):
        state = learner.adapt(params, x[r], y[r])
        torch.testing.assert_close(together[r], learner.predict(params, state, queries[r]), atol=1e-5, rtol=1e-4)
    before = adapt_to(learner, x, y, adapt=False)(queries)
    other = adapt_to(learner, x + 1, y - 1, adapt=False)(queries)
    if name != "R2D2":
        torch.testing.assert_close(before, other)
    assert name == "NoAdaptation" or not torch.allclose(before, together)


def test_the_bank_routes_each_robot_to_the_entry_of_its_family() -> None:
    source, bank = Points(), AdapterBank(router="support_loss", rank=16)
    learner, data = trained(source, "NoAdaptation", [bank])
    assert len(bank.entries) == 3
    for domain in range(3):
        assert driven(source, learner, data, domain).scores.mean() > 0.8
    # Left as it is, the learner is the trunk, which knows the first family.
    assert driven(source, learner, data, 2, adapt=False).scores.mean() < 0.5


def test_a_model_that_is_told_the_dynamics_needs_no_adaptation() -> None:
    source = Points(told=True)
    learner, data = trained(source, "NoAdaptation")
    assert driven(source, learner, data, 1).scores.mean() > 0.8


def test_imitation_adapts_to_demonstrations() -> None:
    source = Points(imitate=True)
    learner, data = trained(source, "MAML", n_inner_steps=3, inner_rate=0.1, learn_inner_rate=True)
    for domain in range(3):
        # The demonstrations are of other robots of the family, with other gains: their signs are what matters.
        assert driven(source, learner, data, domain).measures["distance"].max() < 0.5
    assert driven(source, learner, data, 2, adapt=False).measures["distance"].mean() > 1


def test_models_that_adapt_on_the_way_follow_a_robot_that_changes(maml: Any) -> None:
    source, learner, data = maml

    class Changed(type(source.robot.simulation({"gains": [1, 1]}, np.random.default_rng(0)))):  # type: ignore[misc]
        def reset(self, rng: np.random.Generator) -> None:
            super().reset(rng)
            self.n_resets = getattr(self, "n_resets", -1) + 1
            if self.n_resets == 1:  # the episode after the calibration
                self.dynamics = {"gains": [-1.0, -1.0]}

    def reached(every: int | None) -> float:
        controller = ModelPredictive(
            source, planner=MPPI(n_candidates=48, horizon=4), calibration_steps=6, adapt_every=every
        )
        robots = [Changed({"gains": [1.0, 1.0]}, np.random.default_rng(i)) for i in range(4)]
        return float(controller.drive(learner, robots, support(data, 0, 4), np.random.default_rng(0)).scores.mean())

    assert reached(None) == 0
    assert reached(1) >= 0.75


def test_other_planners_drive_as_well(maml: Any) -> None:
    source, learner, data = maml
    controller = ModelPredictive(source, planner=CEM(n_candidates=32, horizon=4, n_elites=6), calibration_steps=8)
    robots = source.simulations(1, 6, generator(0, "drive", 1))
    assert controller.drive(learner, robots, support(data, 1), np.random.default_rng(0)).scores.mean() > 0.8


def test_an_unstable_robot_fails_and_the_others_go_on(maml: Any) -> None:
    _, learner, data = maml
    source = Points(breaks=3)
    drive = driven(source, learner, data, 0)
    assert drive.failures == ("robot 2: the point became unstable",)
    assert drive.scores.tolist() == [1, 0, 1, 1, 1, 1]
    assert np.isfinite(drive.actions[1]).all(-1).sum() == 2


def test_actions_that_are_not_finite_fail_and_a_mistake_is_no_failure() -> None:
    robot, rng = Point(5), np.random.default_rng(0)
    robots = [robot.simulation(robot.draw("nominal", rng), rng) for _ in range(2)]
    broken = torch.tensor([[0.1, 0.1], [torch.nan, 0.0]])
    drive = act_out(robots, lambda state, goal: broken, 4, rng)
    assert len(drive.failures) == 1
    assert "robot 2: the learner answers [nan, 0.0]" in drive.failures[0]
    with pytest.raises(ValueError, match="broadcast"):
        act_out(robots, lambda state, goal: torch.zeros(2, 3), 4, rng)


def test_a_failed_robot_returns_at_most_nothing() -> None:
    class Paid(type(Point().simulation({"gains": [1, 1]}, np.random.default_rng(0)))):  # type: ignore[misc]
        def measures(self) -> dict[str, float]:
            return {"return": 7.0}

    robots = [Paid({"gains": [1, 1], "breaks": b}, np.random.default_rng(3)) for b in (2, 9)]
    drive = act_out(robots, lambda state, goal: torch.zeros(2, 2), 4, np.random.default_rng(1))
    assert drive.score_name == "return"
    assert drive.scores.tolist() == [0.0, 7.0]


def test_calibration_keeps_no_transition_across_a_reset() -> None:
    robot, rng = Point(), np.random.default_rng(0)
    robots = [robot.simulation({"gains": [1.0, -0.5], "breaks": 7}, rng) for _ in range(3)]
    window = calibrate(robot, robots, 24, rng)
    assert window.states.shape == window.following.shape == (3, 24, 2)
    moved = 0.2 * np.array([1.0, -0.5], dtype=np.float32) * window.actions
    np.testing.assert_allclose(window.following - window.states, moved, atol=1e-6)
    with pytest.raises(ValueError, match=r"single step of its calibration: the point became unstable"):
        calibrate(robot, [robot.simulation({"gains": [1.0, 1.0], "breaks": 1}, rng)], 4, rng)


def test_a_network_of_the_wrong_size_is_one_sentence() -> None:
    source = Points()
    data = data_of(source)
    learner = learners.NoAdaptation(MLP(n_inputs=4, hidden=[4], n_outputs=3), task="regression")
    with pytest.raises(ValueError, match=r"3 outputs, but point changes by 2 .*n_outputs 2"):
        driven(source, learner, data, 0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="adapt_every 0"):
        ModelPredictive(Points(), adapt_every=0)
    with pytest.raises(ValueError, match="n_steps 0"):
        Imitation(n_steps=0)


def test_a_learner_in_double_precision_plans_in_single(maml: Any) -> None:
    source, learner, data = maml
    double = learner_for(source, "MAML", n_inner_steps=3, inner_rate=0.1, learn_inner_rate=True)
    double.load_state_dict(learner.state_dict())
    double = double.double().eval()
    drive = driven(source, double, data, 1)
    assert drive.actions.dtype == np.float32
    assert drive.scores.mean() > 0.8
