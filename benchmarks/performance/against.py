"""Whole training steps by turns with the bare maths of the same steps: a callback for ``python -m lifelong fit``.

What Lightning takes of that, whoever uses it, is measured by :func:`lightning_alone`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.performance.clock import await_device
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.training.optimizer import OuterLoop


class Against(L.Callback):
    """Times blocks of whole steps, and after each the bare maths of as many: losses, mean, backward, optimizer.

    The bare steps train the same parameters with an optimizer of their own, on batches that were gathered before; so
    what is learnt is of no use. The first block of each warms up.

    Args:
        path: where ``{"whole": […], "bare": […]}`` is written: seconds of a step, block by block.
        n_steps: steps of a block.
    """

    def __init__(self, path: str, n_steps: int) -> None:
        self.path, self.n_steps = Path(path), n_steps
        self.found: dict[str, list[float]] = {"whole": [], "bare": []}
        self._batches: list[Episode] = []
        self._optimizer: Any = None
        self._since = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather what the bare steps train on."""
        assert isinstance(pl_module, Learner)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        n_units, first = self.n_steps * data.units_per_batch, data.stream.experiences[0]
        self._batches = [batch for _, batch in data.batches(first, "train", n_units, pl_module.device)]
        self._optimizer = pl_module.outer.make_optimizer(pl_module.parameters())

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Whole steps lie between two starts: drawing, transfer, training, hooks, logging, the bar, checkpoints."""
        if batch_idx % self.n_steps:
            return
        now = self._now(pl_module)
        if batch_idx > 0:
            whole = (now - self._since) / self.n_steps
            self._train_bare(pl_module)
            bare = (self._now(pl_module) - now) / self.n_steps
            if batch_idx > self.n_steps:
                self.found["whole"].append(whole)
                self.found["bare"].append(bare)
        self._since = self._now(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what was measured."""
        self.path.write_text(json.dumps(self.found), encoding="utf-8")

    def _train_bare(self, learner: Learner) -> None:
        params = learner.meta_parameters()
        for batch in self._batches:
            self._optimizer.zero_grad()
            losses = learner.losses(params, batch)
            ((losses * batch.weight).sum() / batch.weight.sum()).backward()
            self._optimizer.step()
        self._optimizer.zero_grad()

    def _now(self, learner: Learner) -> float:
        await_device(learner.device)
        return time.perf_counter()


def lightning_alone(device: torch.device, n_steps: int, n_blocks: int) -> dict[str, list[float]]:
    """Seconds of whole and bare steps of the least that Lightning can do, block by block.

    A module of one's own with the network and the batch size of the classifier's row, one batch again and again, no
    logger, bar, checkpoints or callbacks but the clock.
    """
    torch.manual_seed(0)
    clock = _AgainstPlain("", n_steps)
    L.Trainer(
        max_epochs=1,
        limit_train_batches=n_steps * n_blocks + 1,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1 if device.index is None else [device.index],
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(_Plain(), DataLoader(range(10**6), batch_size=None))  # type: ignore[arg-type]
    return clock.found


class _Plain(L.LightningModule):
    """Classifies the same 64 examples, which it has."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP(n_inputs=784, hidden=[256, 256], n_outputs=80)
        self.register_buffer("x", torch.randn(64, 784))
        self.register_buffer("y", torch.arange(64))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss."""
        return torch.nn.functional.cross_entropy(self.network(self.x), self.y)  # type: ignore[arg-type]

    def configure_optimizers(self) -> Any:
        """The same as Lifelong's."""
        return OuterLoop().make_optimizer(self.parameters())


class _AgainstPlain(Against):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._optimizer = OuterLoop().make_optimizer(pl_module.parameters())

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Nothing is written."""

    def _train_bare(self, learner: Any) -> None:
        for step in range(self.n_steps):
            self._optimizer.zero_grad()
            learner.training_step(None, step).backward()
            self._optimizer.step()
        self._optimizer.zero_grad()
