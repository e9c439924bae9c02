"""What cannot be trained together is one sentence before any time is spent."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from datamodules import Sinusoids
from datamodules.episodic import EpisodicDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.learners import MAML, R2D2, NoAdaptation, ProtoNet, SimpleShot
from lifelong.learners.base import Learner
from tests.toys import LEARNERS, fit, make_learner, module_of, toy_data

CHOOSES = {"ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "NoAdaptation", "R2D2", "Reptile"}
"""Learners with an option for the kind of task."""


def sinusoids() -> EpisodicDataModule:
    source = Sinusoids(n_functions=12, n_points=10)
    settings = {"n_way": 1, "n_shot": 3, "n_query": 3, "steps_per_experience": 2, "n_eval_tasks": 4}
    return EpisodicDataModule([source], **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LEARNERS)
def test_real_targets_are_refused_by_a_learner_of_classes(name: str) -> None:
    way_out = "set --model.task regression"
    if name not in CHOOSES:
        way_out = r"choose another learner, such as lifelong.learners.MAML with --model.task regression"
    with pytest.raises(ValueError, match=rf"^.* has real targets, but {name} is made for classification: {way_out}$"):
        fit(make_learner(name), sinusoids())


@pytest.mark.parametrize("make", [MAML, R2D2, NoAdaptation])
def test_classes_are_refused_by_a_learner_of_real_targets(make: type[MAML] | type[R2D2] | type[NoAdaptation]) -> None:
    learner = make(nn.Linear(4, 1), task="regression")
    with pytest.raises(
        ValueError,
        match=rf"^domain 0 .*has classes, but {make.__name__} is made for regression: set --model.task class",
    ):
        fit(learner, toy_data(1))


@pytest.mark.parametrize("make", [MAML, R2D2])
def test_the_kind_of_task_that_fits_is_learnt(make: type[MAML] | type[R2D2]) -> None:
    assert np.isfinite(fit(make(nn.Linear(1, 1), task="regression"), sinusoids()).matrix()).all()


@pytest.mark.parametrize("make", [ProtoNet, SimpleShot])
def test_vmap_with_running_statistics_is_refused(make: type[Learner]) -> None:
    learner = make_learner(make.__name__, "image", norm="running")
    with pytest.raises(ValueError, match=r"running statistics.*set --runner.plan loop"):
        fit(module_of(learner, plan="vmap"), toy_data(1, "image"))
    fit(module_of(learner, plan="loop"), toy_data(1, "image", steps_per_experience=1, n_eval_tasks=2))


def test_running_statistics_are_not_counted_twice() -> None:
    module = module_of(ProtoNet(nn.BatchNorm1d(4)), runner=TaskRunner(recompute="tasks"))
    with pytest.raises(ValueError, match="running statistics would count them twice"):
        fit(module, toy_data(1))
