"""What no learner can do is one sentence before any time is spent, and never a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

from datamodules import Sinusoids
from datamodules.episodic import EpisodicDataModule
from lifelong.data.episode import Episode
from lifelong.learners import MAML, R2D2, NoAdaptation, ProtoNet, SimpleShot
from lifelong.learners.base import Learner
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.optimizer import OuterLoop
from tests.toys import LEARNERS, AtEnd, fit, make_learner, random_episode, toy_data

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


class Breaks(ProtoNet):
    """Its loss is nan in the third step of the second experience."""

    def losses_and_outputs(self, params: Any, batch: Episode) -> tuple[torch.Tensor, torch.Tensor]:
        losses, outputs = super().losses_and_outputs(params, batch)
        return (losses * torch.nan if self.trainer.global_step == 6 else losses), outputs


@pytest.mark.parametrize("runs_ahead", [False, True])
def test_a_loss_that_is_not_finite_is_named_by_its_step_and_nothing_is_made_of_it(
    runs_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An accelerator runs ahead: there losses are looked at together, here at the end of the experience.
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: runs_ahead)
    ended: list[int] = []
    learner = Breaks(nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"^the loss became nan in experience 2 \(domain 1\), step 3: training stops"):
        fit(learner, toy_data(2), [AtEnd(lambda: ended.append(1))], log_every_n_steps=100)
    assert ended == [1]
    assert learner.trainer.global_step == (8 if runs_ahead else 6)


def test_no_checkpoint_is_written_after_a_loss_that_is_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: True)
    monkeypatch.setattr(
        "lifelong.training.checkpoint._is_finite", lambda _: True
    )  # the parameters may look good for a while
    keeper = StreamCheckpoint(every_n_steps=1)
    keeper.folder = tmp_path
    learner = Breaks(nn.Linear(4, 3))
    learner.use([])
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        **settings, enable_model_summary=False, accelerator="cpu", max_epochs=2, limit_val_batches=0, callbacks=[keeper]
    )
    with pytest.raises(ValueError, match="step 3: training stops and the last good checkpoint is kept"):
        trainer.fit(learner, datamodule=toy_data(2, steps_per_experience=4))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 6


def test_so_many_steps_at_most_are_trained_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: True)
    monkeypatch.setattr("lifelong.training.finite_loss.MOST_UNSEEN", 2)
    learner = Breaks(nn.Linear(4, 3))
    with pytest.raises(ValueError, match="step 3: training stops"):
        fit(learner, toy_data(2, steps_per_experience=4), log_every_n_steps=100)
    assert learner.trainer.global_step == 6  # looked at with the step before, and not only at the end
