"""Writing the predictions of ``predict`` as CSV, one row per query."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.after_evaluation import folder_of
from lifelong.training.accessors import stream_module
from lifelong.utilities.files import write_whole
from lifelong.utilities.quiet import say

COLUMNS = ["domain", "task", "query", "target", "prediction"]


class PredictionWriter(L.Callback):
    """Write ``predictions.csv`` into the Trainer's folder: a row per query with its probabilities or values."""

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []
        self._n_tasks: dict[int, int] = {}

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Discard earlier predictions."""
        self._rows, self._n_tasks = [], {}

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Store the predictions of a batch of tasks."""
        data, gather = stream_data(trainer), stream_module(trainer).runner.gather
        domain, n_tasks = data.stream.domains[dataloader_idx], data.n_eval_units("test", dataloader_idx)
        for answers, targets in zip(gather(outputs).cpu(), gather(batch.query_y).cpu(), strict=True):
            task = self._n_tasks.get(dataloader_idx, 0)
            self._n_tasks[dataloader_idx] = task + 1
            if task < n_tasks:  # the sampler repeats tasks to fill the last batch: skip them
                queries = enumerate(zip(answers, targets, strict=True))
                self._rows += [[domain, task, query, *_values(a, t)] for query, (a, t) in queries]

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file, on the first process only."""
        if trainer.is_global_zero:
            path = write_whole(folder_of(trainer) / "predictions.csv", self._write)
            say(f"written: {path} ({len(self._rows)} answers)")

    def _write(self, path: Path) -> None:
        n_outputs = max((len(row) for row in self._rows), default=len(COLUMNS)) - len(COLUMNS)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, *(f"output_{i}" for i in range(n_outputs))])
            writer.writerows(self._rows)


def _values(answer: Tensor, target: Tensor) -> list[Any]:
    """Return target, prediction and outputs of one query."""
    values = answer.flatten().tolist()
    if target.is_floating_point():
        return [target.flatten().tolist(), values, *values]
    return [int(target), int(answer.argmax()), *values]
