"""The progress bar of a stream: which experience, what is left of it, loss and score."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from lifelong.utilities.recorded import Recorded


class StreamProgress(Recorded, TQDMProgressBar):
    """Lightning's bar with the experience's name and number; silent where nobody watches a terminal."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=5 if sys.stderr.isatty() or "ipykernel" in sys.modules else 0)

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

    def on_validation_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Name the domain that is evaluated."""
        super().on_validation_batch_start(trainer, *args, **kwargs)
        what = self.sanity_check_description if trainer.sanity_checking else self.validation_description
        self.val_progress_bar.set_description(f"{what}: {self._domain(trainer, *args, **kwargs)}")

    def on_test_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Name the domain that is tested."""
        super().on_test_batch_start(trainer, *args, **kwargs)
        self.test_progress_bar.set_description(f"Testing: {self._domain(trainer, *args, **kwargs)}")

    @staticmethod
    def _domain(trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> str:
        domains = trainer.datamodule.stream.domains  # type: ignore[attr-defined]
        return f"{domains[dataloader_idx]} ({dataloader_idx + 1}/{len(domains)})"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Loss and score without the logger's version number."""
        values = super().get_metrics(trainer, pl_module)
        return {name.removeprefix("train/"): v for name, v in values.items() if name.startswith("train/")}
