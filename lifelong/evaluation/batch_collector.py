"""Base class of callbacks that collect from every batch of an evaluation, on validation or test tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import lightning as L

from lifelong.data.episode import Episode
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule


class BatchCollector(L.Callback):
    """Collect from every batch of an evaluation; abstract, subclasses define what they collect."""

    @abstractmethod
    def forget(self) -> None:
        """Discard what an interrupted evaluation collected."""

    @abstractmethod
    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Collect from a batch of a domain's tasks and from the outputs of its evaluation step."""

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin an evaluation on the part set by ``evaluate_on``."""
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
        """Collect from a batch; each domain has its own loader."""
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
        """Collect from a batch; each domain has its own loader."""
        self.collect(trainer, stream_module(trainer), outputs, batch, dataloader_idx)
