"""A callback for ``python -m lifelong fit``: whole steps by turns with the bare maths of the same steps."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L

from benchmarks.performance.clock import await_device
from lifelong.batch import Episode
from lifelong.learner import Learner


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
