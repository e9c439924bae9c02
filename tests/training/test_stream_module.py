"""The stream module: training steps, losses that are not finite, checkpoints and the end of the stream."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import ProtoNet
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.stream_module import StreamModule
from tests.toys import AtEnd, fit, make_learner, module_of, toy_data

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
    "limit_val_batches": 0,
    "reload_dataloaders_every_n_epochs": 0,
}


class Breaks(ProtoNet):
    """Its loss is nan in the third step of the second experience."""

    n_steps = 0

    def start_step(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def task_loss(self, params: Any, task: Any) -> tuple[Tensor, Tensor]:
        loss, outputs = super().task_loss(params, task)
        return (loss * torch.nan if self.n_steps == 6 else loss), outputs


@pytest.mark.parametrize("runs_ahead", [False, True])
def test_a_loss_that_is_not_finite_is_named_by_its_step(runs_ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # An accelerator runs ahead: there losses are checked together, here at the end of the experience.
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: runs_ahead)
    ended: list[int] = []
    module = module_of(Breaks(nn.Linear(4, 3)), [AtEnd(lambda: ended.append(1))])
    with pytest.raises(ValueError, match=r"^the loss became nan in experience 2 \(domain 1\), step 3: training stops"):
        fit(module, toy_data(2), log_every_n_steps=100)
    assert ended == [1]  # nothing is made of it
    assert module.trainer.global_step == (8 if runs_ahead else 6)


def test_no_checkpoint_follows_a_loss_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: True)
    # The parameters may look good for a while.
    monkeypatch.setattr("lifelong.training.checkpoint.is_finite", lambda _: True)
    keeper = StreamCheckpoint(every_n_steps=1)
    trainer = L.Trainer(**(QUIET | {"default_root_dir": tmp_path}), max_epochs=2, callbacks=[keeper])
    with pytest.raises(ValueError, match="step 3: training stops and the last good checkpoint is kept"):
        trainer.fit(module_of(Breaks(nn.Linear(4, 3))), datamodule=toy_data(2, steps_per_experience=4))
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 6


def test_so_many_steps_at_most_are_trained_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifelong.training.finite_loss._runs_ahead", lambda _: True)
    monkeypatch.setattr("lifelong.training.finite_loss.MOST_UNCHECKED", 2)
    module = module_of(Breaks(nn.Linear(4, 3)))
    with pytest.raises(ValueError, match="step 3: training stops"):
        fit(module, toy_data(2, steps_per_experience=4), log_every_n_steps=100)
    assert module.trainer.global_step == 6  # checked with the step before, and not only at the end


def test_a_huge_inner_rate_stops_the_training() -> None:
    learner = make_learner("MAML", inner_rate=1e30)
    with pytest.raises(ValueError, match=r"loss became (nan|inf) in experience 1 \(domain 0\), step 1"):
        fit(learner, toy_data(1))


def saved(learner: Any, folder: Path) -> dict[str, Any]:
    """The checkpoint of a short training."""
    trainer = L.Trainer(**QUIET, max_epochs=-1)
    trainer.fit(module_of(learner), datamodule=toy_data(1, steps_per_experience=1))
    trainer.save_checkpoint(folder / "last.ckpt", weights_only=False)
    checkpoint: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return checkpoint


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    checkpoint = saved(make_learner("MAML"), tmp_path)
    StreamModule(make_learner("MAML")).on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match="learner is MAML there and ProtoNet here"):
        StreamModule(make_learner("ProtoNet")).on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match="not written by lifelong"):
        StreamModule(make_learner("MAML")).on_load_checkpoint({})


def test_a_checkpoint_names_the_parameters_by_their_place(tmp_path: Path) -> None:
    names = saved(make_learner("ProtoNet"), tmp_path)["state_dict"]
    assert {name.partition(".")[0] for name in names} == {"learner"}
    assert "learner.network.head.weight" in names


@pytest.mark.parametrize(("max_epochs", "n_done"), [(-1, 2), (5, 2), (1, 1)])
def test_the_stream_ends_the_fit(max_epochs: int, n_done: int, caplog: pytest.LogCaptureFixture) -> None:
    module = module_of(make_learner("ProtoNet"))
    trainer = L.Trainer(**QUIET, max_epochs=max_epochs)
    with caplog.at_level(logging.WARNING, "lifelong.training.stream_module"):
        trainer.fit(module, datamodule=toy_data(2, steps_per_experience=2))
    assert trainer.global_step == 2 * n_done
    told = "max_epochs 1 ended the stream after 1 of its 2 experiences" in caplog.text
    assert told is (n_done == 1)


def test_recomputing_no_steps_is_said(caplog: pytest.LogCaptureFixture) -> None:
    module = module_of(make_learner("ProtoNet"), runner=TaskRunner(recompute="steps"))
    with caplog.at_level(logging.WARNING, "lifelong.training.stream_module"):
        fit(module, toy_data(1, steps_per_experience=1))
    assert "ProtoNet does not differentiate through inner steps" in caplog.text


def test_gradients_that_are_added_up_are_not_captured() -> None:
    module = module_of(make_learner("ProtoNet"), runner=TaskRunner(cuda_graph=True))
    with pytest.raises(ValueError, match=r"set --trainer.accumulate_grad_batches 1, or leave it out"):
        fit(module, toy_data(1, steps_per_experience=2), accumulate_grad_batches=2)


class Counts(ProtoNet):
    """Counts how often targets are encoded while a step is trained and logged."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 3))
        self.encoded: list[str] = []
        encode = self.objective.encode

        def counted(y: Tensor, n_way: int) -> Tensor:
            self.encoded.append(str(tuple(y.shape)))
            return encode(y, n_way)

        self.objective.encode = counted  # type: ignore[method-assign]


def test_a_logged_step_encodes_no_label_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, module = Counts(), None
    module = module_of(learner, plan="vmap")
    logged: list[Any] = []
    monkeypatch.setattr(StreamModule, "log_dict", lambda self, values, **_: logged.append(values))
    fit(module, toy_data(1, steps_per_experience=1, n_eval_tasks=1), limit_val_batches=0, log_every_n_steps=1)
    assert set(logged[0]) == {"train/loss", "train/score"}
    assert len(learner.encoded) == 2  # support and query, once each
