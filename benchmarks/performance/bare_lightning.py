"""A minimal Lightning script with the same imports: the Trainer takes one step, and the process ends.

The start-up time of ``python -m lifelong fit`` is compared with ``python -m benchmarks.performance.bare_lightning``.
"""

from __future__ import annotations

import os
from typing import Any

import filelock
import lightning as L
import lightning.pytorch.cli
import matplotlib.figure
import numpy
import PIL.Image
import rich.progress
import rich.table
import torch
from torch.utils.data import DataLoader

IMPORTS = (filelock, lightning.pytorch.cli, matplotlib.figure, numpy, PIL.Image, rich.progress, rich.table)
"""Third-party modules that ``fit`` also imports."""


class FirstStep(L.Callback):
    """End the process after the first training step, without the end of the run."""

    def on_train_batch_end(self, *_: Any) -> None:
        """End the process."""
        os._exit(0)


class Least(L.LightningModule):
    """Train one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        """Return a loss."""
        return self.layer(batch).sum()  # type: ignore[no-any-return]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Lifelong's default."""
        return torch.optim.Adam(self.parameters())


if __name__ == "__main__":
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu", "devices": 1}
    L.Trainer(**settings, callbacks=[FirstStep()]).fit(Least(), DataLoader(torch.ones(4, 1)))
