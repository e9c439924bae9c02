"""What callbacks share that look at every batch of an evaluation, be it on validation or on test tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import lightning as L

from lifelong.data.episode import Episode
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule


class BatchCollector(L.Callback):
    """See each evaluation from its first batch to its last; abstract: subclasses take what they want from a batch."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what an interrupted evaluation left."""

    @abstractmethod
    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Take what is wanted from a batch of tasks of a domain and from what the step returned for it."""

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin an evaluation on the part that ``evaluate_on`` names."""
        self.forget()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin an evaluation on test tasks."""
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
        """Collect from a batch; each domain has a loader of its own."""
        self.collect(trainer, stream_module(trainer), outputs, batch, dataloader_idx)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect from a batch; each domain has a loader of its own."""
        self.collect(trainer, stream_module(trainer), outputs, batch, dataloader_idx)
