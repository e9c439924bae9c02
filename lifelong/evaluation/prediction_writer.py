"""Writing what ``predict`` answered: one row per query, for people and spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from lifelong.run.folder import RunFolder


class PredictionWriter(L.Callback):
    """Writes ``predictions.csv``: domain, task, query, target, prediction and the probabilities or values.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._rows: list[list[Any]] = []
        self._n_tasks: dict[int, int] = {}

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of a batch of tasks."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        domain = data.stream.domains[dataloader_idx]
        for answers, targets in zip(outputs.cpu(), batch.query_y.cpu(), strict=True):
            task = self._n_tasks.get(dataloader_idx, 0)
            self._n_tasks[dataloader_idx] = task + 1
            if task < data.n_eval_units("test", dataloader_idx):
                self._rows += [
                    [domain, task, q, *_row(a, t)] for q, (a, t) in enumerate(zip(answers, targets, strict=True))
                ]

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file whole."""
        path = self.folder.write("predictions.csv", self._write)
        print(f"written: {path} ({len(self._rows)} answers)")

    def _write(self, path: Path) -> None:
        width = max((len(row) for row in self._rows), default=5) - 5
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["domain", "task", "query", "target", "prediction", *(f"output_{i}" for i in range(width))])
            writer.writerows(self._rows)


def _row(answer: Tensor, target: Tensor) -> list[Any]:
    values = answer.flatten().tolist()
    if target.is_floating_point():
        return [target.flatten().tolist(), values, *values]
    return [int(target), int(answer.argmax()), *values]
