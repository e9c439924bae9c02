"""The progress bar of a stream: which experience, what is left of it, loss and score."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from lifelong.data.stream_datamodule import stream_data
from lifelong.utilities.recorded import Recorded


class StreamProgress(Recorded, TQDMProgressBar):
    """Show Lightning's bar with the experience's name and number; silent where nobody watches a terminal."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=5 if sys.stderr.isatty() or "ipykernel" in sys.modules else 0)

    @property
    def sanity_check_description(self) -> str:
        """Name the evaluation before the first step, which is that of the untrained learner."""
        return "Before learning"

    @property
    def validation_description(self) -> str:
        """Name the evaluation after an experience."""
        return "Evaluating"

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Name the experience."""
        super().on_train_epoch_start(trainer)
        experiences = stream_data(trainer).stream.experiences
        number = trainer.current_epoch
        self.train_progress_bar.set_description(
            f"Experience {number + 1}/{len(experiences)} {experiences[number].name}"
        )

    def on_validation_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Name the domain that is evaluated."""
        super().on_validation_batch_start(trainer, *args, **kwargs)
        description = self.sanity_check_description if trainer.sanity_checking else self.validation_description
        self.val_progress_bar.set_description(f"{description}: {self._domain(trainer, *args, **kwargs)}")

    def on_test_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Name the domain that is tested."""
        super().on_test_batch_start(trainer, *args, **kwargs)
        self.test_progress_bar.set_description(f"Testing: {self._domain(trainer, *args, **kwargs)}")

    @staticmethod
    def _domain(trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> str:
        data = stream_data(trainer)
        name, due = data.stream.domains[dataloader_idx], data.domains_due
        return f"{name} ({due.index(dataloader_idx) + 1}/{len(due)})" if dataloader_idx in due else name

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return loss and score without the logger's version number."""
        values = super().get_metrics(trainer, pl_module)
        return {name.removeprefix("train/"): v for name, v in values.items() if name.startswith("train/")}
