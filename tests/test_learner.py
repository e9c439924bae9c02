"""What no learner can do is one sentence before any time is spent, and never a score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from datamodules import Sinusoids
from lifelong.batch import Episode
from lifelong.datamodule import EpisodicDataModule
from lifelong.learner import Learner
from lifelong.learners import MAML, R2D2, NoAdaptation, ProtoNet, SimpleShot
from lifelong.outer import OuterLoop
from tests.toys import LEARNERS, fit, make_learner, random_episode, toy_data

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
    learner = make_learner(make.__name__, "image", norm="running", mapping="vmap")
    with pytest.raises(ValueError, match=r"running statistics.*set --model.outer.mapping loop"):
        fit(learner, toy_data(1, "image"))
    learner.outer = OuterLoop(mapping="loop")
    fit(learner, toy_data(1, "image", steps_per_experience=1, n_eval_tasks=2))


@pytest.mark.parametrize(("name", "settings"), [("NoAdaptation", {}), ("MAML", {"n_eval_steps": 0})])
@pytest.mark.parametrize("mapping", ["vmap", "loop"])
def test_another_number_of_ways_is_not_scored(name: str, settings: dict[str, int], mapping: str) -> None:
    learner = make_learner(name, mapping=mapping, **settings).eval()  # type: ignore[arg-type]
    for method in (learner.scores, learner.outputs, learner.losses):
        with pytest.raises(
            ValueError, match=r"has 3 outputs, but the tasks ask for 4: set --model.network.n_outputs 4"
        ):
            method(learner.meta_parameters(), random_episode(n_way=4))


def test_targets_of_another_shape_are_not_scored() -> None:
    learner, x, y = NoAdaptation(nn.Linear(4, 1), task="regression"), torch.randn(2, 5, 4), torch.randn(2, 5)
    with pytest.raises(ValueError, match=r"answers \(1,\) numbers for each example, but its target has the shape \(\)"):
        learner.scores(learner.meta_parameters(), Episode(x, y, x, y, torch.ones(2), n_way=0))


@pytest.mark.parametrize(("name", "mapping", "laid_out"), [("ProtoNet", "loop", True), ("ProtoNet", "vmap", False)])
def test_convolutions_are_laid_out_for_the_loop(name: str, mapping: Any, laid_out: bool) -> None:
    learner = make_learner(name, "image", outer=OuterLoop(mapping=mapping))
    fit(learner, toy_data(1, "image", steps_per_experience=1, n_eval_tasks=1))
    weight = learner.network.blocks[1][0].weight  # type: ignore[union-attr, index]
    assert weight.is_contiguous(memory_format=torch.channels_last) is laid_out


def test_an_inner_loop_keeps_the_layout_of_few_images() -> None:
    learner = make_learner("MAML", "image", outer=OuterLoop(mapping="loop"))
    fit(learner, toy_data(1, "image", steps_per_experience=1, n_eval_tasks=1))
    assert learner.network.blocks[1][0].weight.is_contiguous()  # type: ignore[union-attr, index]
