"""What callbacks share that look at every batch of an evaluation, be it on validation or on test tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import lightning as L


class BatchCollector(L.Callback):
    """Sees each evaluation from its first batch to its last; subclasses say what they take from a batch."""

    @abstractmethod
    def forget(self) -> None:
        """An evaluation begins: drop what an interrupted one left."""

    @abstractmethod
    def collect(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, domain: int) -> None:
        """Take what is wanted from a batch of tasks of a domain and from what the step returned for it."""

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An evaluation on the part that ``evaluate_on`` names begins."""
        self.forget()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An evaluation on test tasks begins."""
        self.forget()

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A batch was evaluated; each domain has a loader of its own."""
        self.collect(trainer, pl_module, outputs, batch, dataloader_idx)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A batch was evaluated; each domain has a loader of its own."""
        self.collect(trainer, pl_module, outputs, batch, dataloader_idx)
