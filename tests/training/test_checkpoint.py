"""Checkpoints of a stream: one for each experience, also where the file system has no links."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from lifelong.training.checkpoint import StreamCheckpoint
from tests.toys import make_learner, module_of, toy_data

pytestmark = pytest.mark.filterwarnings("ignore")


def train(folder: Path, **settings: Any) -> None:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 0, "max_epochs": -1}
    trainer = L.Trainer(**quiet, default_root_dir=folder, callbacks=[StreamCheckpoint(**settings)])
    trainer.fit(module_of(make_learner("ProtoNet")), datamodule=toy_data(2))


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


def test_experiences_are_not_kept_where_nobody_asks(tmp_path: Path) -> None:
    train(tmp_path, every_n_steps=0, keep_experiences=False)
    assert steps(tmp_path) == {"last.ckpt": 8}
