"""A clock for ``python -m lifelong fit``: CPU time of the training steps, without start-up, loading and evaluation."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L


class Clock(L.Callback):
    """Time each experience but the first, from the start of its first step to the start of its last step.

    Args:
        path: path for ``{"examples": …, "seconds": …}``; rehearsed examples are not counted.
    """

    def __init__(self, path: str) -> None:
        self.path, self.examples, self.seconds, self._since = Path(path), 0, 0.0, 0.0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Record the time at a step's start; between two starts lie whole steps with data, logging and checkpoints."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        last = data.steps_per_experience - 1
        if trainer.current_epoch == 0 or batch_idx not in (0, last):
            return
        if batch_idx == 0:
            self._since = time.process_time()
        else:
            self.seconds += time.process_time() - self._since
            self.examples += last * data.units_per_batch

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the measurement."""
        self.path.write_text(json.dumps({"examples": self.examples, "seconds": self.seconds}), encoding="utf-8")
