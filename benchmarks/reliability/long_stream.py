"""A thousand experiences: how memory, files and time grow."""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch

import lifelong
from benchmarks.performance.scale import Blobs
from datamodules import EpisodicDataModule
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.training.checkpoint import StreamCheckpoint
from strategies import EWC, Budget, Replay

STRATEGIES: dict[str, Any] = {
    "Replay": lambda n: [Replay(budget=Budget(examples=12 * n))],
    "EWC": lambda n: [EWC(n_fisher_tasks=4)],
}


class Watch(L.Callback):
    """Record memory, open files and time at regular intervals.

    Args:
        every: number of experiences between two records.
    """

    def __init__(self, every: int) -> None:
        self.every, self.marks = every, [_mark(0)]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the current state of the run."""
        if (trainer.current_epoch + 1) % self.every == 0:
            self.marks.append(_mark(trainer.current_epoch + 1))


def measure(strategy: str, folder: Path, *, n_experiences: int, keep: int | None) -> dict[str, Any]:
    """Learn a long stream and return the row.

    Args:
        strategy: key of ``STRATEGIES``.
        folder: folder of the run.
        n_experiences: number of experiences.
        keep: number of checkpoints of experiences that are kept.
    """
    torch.manual_seed(0)
    watch = Watch(max(1, n_experiences // 10))
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 1, "n_query": 2, "split": (3, 0)}
    steps: dict[str, Any] = {"steps_per_experience": 5, "n_eval_tasks": 10, "evaluate_every": 100}
    data = EpisodicDataModule([Blobs(n_domains=n_experiences)], **shape, **steps)
    learner = ProtoNet(MLP(n_inputs=16, hidden=[32], n_outputs=16))
    quiet: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
    with contextlib.redirect_stdout(io.StringIO()):
        lifelong.fit(
            learner,
            data,
            strategies=STRATEGIES[strategy](n_experiences),
            checkpoint=StreamCheckpoint(every_n_steps=0, keep_experiences=keep),
            run=folder,
            callbacks=[watch],
            **quiet,
        )
    size = sum(file.stat().st_size for file in {f.stat().st_ino: f for f in folder.rglob("*") if f.is_file()}.values())
    kept = "all" if keep is None else str(keep)
    return {"name": f"{strategy}, {n_experiences} experiences, {kept} kept", "marks": watch.marks, "folder_bytes": size}


def _mark(number: int) -> dict[str, float]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    bytes_, files = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
    return {"experiences": number, "bytes": bytes_, "files": files, "seconds": time.monotonic()}
