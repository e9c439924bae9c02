"""Learners that drive points whose actuators may be reversed, by planning with models of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.control.cem import CEM
from lifelong.control.model_predictive import ModelPredictive
from lifelong.control.mppi import MPPI
from lifelong.data.sampling import generator
from lifelong.learners import NoAdaptation
from lifelong.networks import MLP
from strategies import AdapterBank
from tests.control.driving import QUICK, REGRESSION, data_of, driven, module_for, support, trained
from tests.control.points import SIGNS, Points
from tests.toys import module_of


def test_an_adapted_model_reaches_goals_and_an_unadapted_not(maml: Any) -> None:
    source, module, data = maml
    for domain in range(len(SIGNS)):
        after = driven(source, module, data, domain)
        assert after.scores.mean() > 0.8
        assert after.score_name == "success"
        assert after.actions.shape == (6, 20, 2)
        assert after.positions is not None
        assert after.states.shape == after.positions.shape == (6, 21, 2)
        assert np.nanmax(np.abs(after.actions)) <= 1
    reversed_before = driven(source, module, data, 2, adapt=False)
    assert reversed_before.scores.mean() < 0.5


@pytest.mark.parametrize("name", REGRESSION)
def test_every_learner_of_regression_can_be_driven(name: str) -> None:
    source = Points(episode_steps=3)
    module, data = module_for(source, name), data_of(source)
    for adapt in (True, False):
        drive = driven(source, module, data, 0, adapt=adapt)
        assert np.isfinite(drive.actions).all()
    assert module.learner.training


def test_the_bank_routes_each_robot_to_the_entry_of_its_family() -> None:
    source, bank = Points(), AdapterBank(router="support_loss", rank=16)
    module, data = trained(source, "NoAdaptation", [bank])
    assert len(bank.entries) == 3
    for domain in range(3):
        assert driven(source, module, data, domain).scores.mean() > 0.8
    # Left as it is, the learner is the trunk, which knows the first family.
    assert driven(source, module, data, 2, adapt=False).scores.mean() < 0.5


def test_a_model_that_is_told_the_dynamics_needs_no_adaptation() -> None:
    source = Points(told=True)
    module, data = trained(source, "NoAdaptation")
    assert driven(source, module, data, 1).scores.mean() > 0.8


def test_adapting_anew_follows_a_robot_that_changes(maml: Any) -> None:
    source, module, data = maml

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
        tasks, rng = support(data, 0, 4), np.random.default_rng(0)
        return float(controller.drive(module.learner, robots, tasks, rng, runner=module.runner).scores.mean())

    assert reached(None) == 0
    assert reached(1) >= 0.75


def test_other_planners_drive_as_well(maml: Any) -> None:
    source, module, data = maml
    controller = ModelPredictive(source, planner=CEM(n_candidates=32, horizon=4, n_elites=6), calibration_steps=8)
    robots = source.simulations(1, 6, generator(0, "drive", 1))
    assert (
        controller.drive(
            module.learner, robots, support(data, 1), np.random.default_rng(0), runner=module.runner
        ).scores.mean()
        > 0.8
    )


def test_a_network_of_the_wrong_size_is_one_sentence() -> None:
    source = Points()
    data = data_of(source)
    module = module_of(NoAdaptation(MLP(n_inputs=4, hidden=[4], n_outputs=3), task="regression"))
    with pytest.raises(ValueError, match=r"3 outputs, but point changes by 2 .*n_outputs 2"):
        driven(source, module, data, 0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="adapt_every is 0"):
        ModelPredictive(Points(), adapt_every=0)


def test_a_learner_in_double_precision_plans_in_single(maml: Any) -> None:
    source, module, data = maml
    double = module_for(source, "MAML", **QUICK)
    double.load_state_dict(module.state_dict())
    double = double.double().eval()
    drive = driven(source, double, data, 1)
    assert drive.actions.dtype == np.float32
    assert drive.scores.mean() > 0.8
