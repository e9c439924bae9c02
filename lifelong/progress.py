"""The progress bar of a stream: which experience, what is left of it, loss and score."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar


class StreamProgress(TQDMProgressBar):
    """Lightning's bar with the experience's name and number; silent where nobody watches a terminal."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=5 if sys.stderr.isatty() else 0)

    @property
    def sanity_check_description(self) -> str:
        """The evaluation before the first step is the row of the untrained learner."""
        return "Before learning"

    @property
    def validation_description(self) -> str:
        """Evaluation after an experience."""
        return "Evaluating"

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Name the experience."""
        super().on_train_epoch_start(trainer)
        experiences = trainer.datamodule.stream.experiences  # type: ignore[attr-defined]
        number = trainer.current_epoch
        self.train_progress_bar.set_description(
            f"Experience {number + 1}/{len(experiences)} {experiences[number].name}"
        )

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Loss and score without the logger's version number."""
        values = super().get_metrics(trainer, pl_module)
        return {name.removeprefix("train/"): v for name, v in values.items() if name.startswith("train/")}
