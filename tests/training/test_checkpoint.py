"""Checkpoints of a stream: one for each experience, also where the file system has no links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from lifelong.training.checkpoint import StreamCheckpoint
from tests.toys import make_learner, module_of, toy_data

pytestmark = pytest.mark.filterwarnings("ignore")


QUIET: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
QUIET |= {"enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 0, "max_epochs": -1}


def train(folder: Path, n_domains: int = 2, **settings: Any) -> None:
    trainer = L.Trainer(**QUIET, default_root_dir=folder, callbacks=[StreamCheckpoint(**settings)])
    trainer.fit(module_of(make_learner("ProtoNet")), datamodule=toy_data(n_domains))


def steps(folder: Path) -> dict[str, int]:
    files = sorted((folder / "checkpoints").iterdir())
    return {file.name: int(torch.load(file, weights_only=True)["global_step"]) for file in files}


def refused(*_: Any, **__: Any) -> None:
    raise OSError("this file system has no links")


@pytest.mark.parametrize("links", ["there", "refused", "absent"])
def test_every_experience_has_a_checkpoint(links: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if links == "refused":
        monkeypatch.setattr(os, "link", refused)
    elif links == "absent":  # as on a system that never had them
        monkeypatch.delattr(os, "link")
    train(tmp_path, every_n_steps=3)
    assert steps(tmp_path) == {"experience-00.ckpt": 4, "experience-01.ckpt": 8, "last.ckpt": 8}


@pytest.mark.parametrize(("keep", "kept"), [(1, [2]), (2, [1, 2]), (None, [0, 1, 2])])
def test_as_many_experiences_stay_as_are_asked_for(keep: int | None, kept: list[int], tmp_path: Path) -> None:
    train(tmp_path, n_domains=3, keep_experiences=keep)
    assert list(steps(tmp_path)) == [*(f"experience-0{number}.ckpt" for number in kept), "last.ckpt"]


def test_a_negative_number_of_checkpoints_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--checkpoint.keep_experiences is -1"):
        StreamCheckpoint(keep_experiences=-1)


def test_experiences_are_not_kept_where_nobody_asks(tmp_path: Path) -> None:
    train(tmp_path, every_n_steps=0, keep_experiences=0)
    assert steps(tmp_path) == {"last.ckpt": 8}


class KeepsEach(L.Callback):
    """Keep a copy of every ``last.ckpt`` that is saved in the middle of an experience."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        folder = Path(trainer.default_root_dir)
        last = folder / "checkpoints" / "last.ckpt"
        if last.is_file():
            n_steps = int(torch.load(last, weights_only=True)["global_step"])
            shutil.copyfile(last, folder / f"step-{n_steps}.ckpt")


def test_accumulated_gradients_are_not_lost_by_a_resume(tmp_path: Path) -> None:
    def fit(folder: Path, *callbacks: L.Callback, ckpt_path: Path | None = None) -> Tensor:
        torch.manual_seed(0)
        module = module_of(make_learner("ProtoNet"))
        settings: dict[str, Any] = QUIET | {"accumulate_grad_batches": 3, "default_root_dir": folder}
        trainer = L.Trainer(**settings, callbacks=[StreamCheckpoint(every_n_steps=1), *callbacks])
        trainer.fit(module, datamodule=toy_data(2, steps_per_experience=8), ckpt_path=ckpt_path, weights_only=True)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    whole = fit(tmp_path / "whole", KeepsEach())
    saved = sorted((tmp_path / "whole").glob("step-*.ckpt"))
    assert [file.name for file in saved] == [f"step-{n}.ckpt" for n in range(1, 6)]
    for file in saved:
        assert torch.equal(fit(tmp_path / file.stem, ckpt_path=file), whole)
