"""A clock for ``python -m lifelong fit``: the CPU time of the training steps, without start-up, loading, evaluation."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L


class Clock(L.Callback):
    """Times every experience but the first, from the start of its first step to the start of its last one.

    Args:
        path: where ``{"examples": …, "seconds": …}`` is written, the examples of the stream alone.
    """

    def __init__(self, path: str) -> None:
        self.path, self.examples, self.seconds, self._since = Path(path), 0, 0.0, 0.0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Whole steps lie between two starts: drawing, training, logging, the bar, checkpoints."""
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
        """Write what was measured."""
        self.path.write_text(json.dumps({"examples": self.examples, "seconds": self.seconds}), encoding="utf-8")
