"""Callbacks that measure the time of a Trainer's parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.performance.suite import Settings, now
from lifelong.data.stream_datamodule import stream_data
from lifelong.networks import MLP
from lifelong.training.accessors import stream_module
from lifelong.training.optimizer import make_optimizer

ADAM = partial(torch.optim.Adam, lr=1e-3)
SILENT: dict[str, Any] = {
    **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    "num_sanity_val_steps": 0,
}
"""Arguments of a Trainer that writes no files."""


class Against(L.Callback):
    """Time blocks of whole steps, each followed by a block of bare steps: losses, mean, backward, optimizer.

    Bare steps train the same parameters with a separate optimizer on batches gathered before, so the trained model is
    useless. The first block of each is a warm-up.

    Args:
        n_steps: number of steps per block.
        path: path for ``{"whole": […], "bare": […]}``, seconds per step for each block. If None, only ``times`` is set.
    """

    def __init__(self, n_steps: int, path: str | None = None) -> None:
        self.n_steps, self.path = n_steps, path
        self.times: dict[str, list[float]] = {"whole": [], "bare": []}
        self._bare: Callable[[], object] = lambda: None
        self._since = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prepare the bare steps."""
        self._bare = partial(_steps_of_plain if isinstance(pl_module, Plain) else _steps_of_stream, trainer)(
            self.n_steps
        )

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Time whole steps between two starts: data, transfer, training, hooks, logging, progress bar, checkpoints."""
        if batch_idx % self.n_steps:
            return
        here = now(pl_module.device)
        if batch_idx > 0:
            self._bare()
            if batch_idx > self.n_steps:
                self.times["whole"].append((here - self._since) / self.n_steps)
                self.times["bare"].append((now(pl_module.device) - here) / self.n_steps)
        self._since = now(pl_module.device)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the times."""
        if self.path is not None:
            Path(self.path).write_text(json.dumps(self.times), encoding="utf-8")


def _steps_of_stream(trainer: L.Trainer, n_steps: int) -> Callable[[], object]:
    module, data = stream_module(trainer), stream_data(trainer)
    units, experience = n_steps * data.units_per_batch, data.stream.experiences[0]
    batches = [batch for _, batch in data.batches(experience, "train", units, module.device)]
    optimizer, params = make_optimizer(ADAM, module.parameters()), module.learner.meta_parameters()

    def train() -> None:
        for batch in batches:
            optimizer.zero_grad()
            losses = module.runner.losses(module.learner, params, batch)
            ((losses * batch.weight).sum() / batch.weight.sum()).backward()
            optimizer.step()
        optimizer.zero_grad()

    return train


def _steps_of_plain(trainer: L.Trainer, n_steps: int) -> Callable[[], object]:
    module = trainer.lightning_module
    optimizer = make_optimizer(ADAM, module.parameters())

    def train() -> None:
        for step in range(n_steps):
            optimizer.zero_grad()
            module.training_step(None, step).backward()
            optimizer.step()
        optimizer.zero_grad()

    return train


class Plain(L.LightningModule):
    """Classify the same 64 examples at every step, with the network of the classifier's row."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MLP(n_inputs=784, hidden=[256, 256], n_outputs=80)
        self.register_buffer("x", torch.randn(64, 784))
        self.register_buffer("y", torch.arange(64))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss."""
        return torch.nn.functional.cross_entropy(self.network(self.x), self.y)  # type: ignore[arg-type]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of the other rows."""
        return make_optimizer(ADAM, self.parameters())


def lightning_alone(settings: Settings, n_steps: int, n_blocks: int) -> dict[str, list[float]]:
    """Time whole and bare steps of plain Lightning, with the clock as the only callback."""
    torch.manual_seed(0)
    clock, n_batches = Against(n_steps), n_steps * n_blocks + 1
    loader: Any = DataLoader(range(10**6), batch_size=None)  # type: ignore[arg-type]
    trainer = {"max_epochs": 1, "limit_train_batches": n_batches, "callbacks": [clock]}
    L.Trainer(**SILENT, **settings.trainer, **trainer).fit(Plain(), loader)
    return clock.times


class StrategyClock(L.Callback):
    """Time the steps of the second experience, and the strategies' hooks at the start and end of each experience."""

    def __init__(self) -> None:
        self.step, self._since = 0.0, 0.0
        self.hooks: dict[str, list[float]] = {"begin": [], "end": []}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wrap the hooks of the chain with the clock."""
        chain: Any = stream_module(trainer).strategies
        for name, seconds in self.hooks.items():
            setattr(chain, name, partial(_timed, getattr(chain, name), seconds, pl_module.device))

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Time from the second step to the last one."""
        last = stream_data(trainer).steps_per_experience - 1
        if trainer.current_epoch == 1 and batch_idx in (1, last):
            here = now(pl_module.device)
            self.step, self._since = (here - self._since) / (last - 1), here


def _timed(hook: Callable[..., None], seconds: list[float], device: torch.device, *args: Any, **settings: Any) -> None:
    since = now(device)
    hook(*args, **settings)
    seconds.append(now(device) - since)


PARTS = {
    "on_train_batch_end": "steps",  # runs before the module's own hook, which ends the experience
    "on_validation_start": "end",
    "on_validation_epoch_end": "evaluation",
    "on_train_epoch_end": "report",
    "on_train_epoch_start": "checkpoint",
    "on_train_end": "checkpoint",
}
"""Parts of an experience, by the hook that follows them."""


class StreamClock(L.Callback):
    """Time the parts of each experience and record the size of its checkpoint, before the Trainer's other callbacks.

    Args:
        path: path for the seconds of the last experience's steps. If None, no file is written.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self.seconds: list[dict[str, float]] = []
        self.steps: list[float] = []
        self.bytes: list[int] = []
        self._since = 0.0
        for hook in PARTS:
            setattr(self, hook, partial(self._note, hook))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Move to the front, so that the other callbacks' work lies between two hooks of this one."""
        callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks.insert(0, callbacks.pop(callbacks.index(self)))

    def _note(self, hook: str, trainer: L.Trainer, *_: Any) -> None:
        here, part = now(torch.device("cpu")), PARTS[hook]
        passed, self._since = here - self._since, here
        if part == "steps":
            self.steps.append(passed)
        if self.seconds:
            self.seconds[-1][part] = self.seconds[-1].get(part, 0.0) + passed
        last = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
        if part == "checkpoint" and last.is_file():
            self.bytes.append(last.stat().st_size)
        if hook == "on_train_epoch_start":
            self.seconds.append({})
            self.steps = []
        elif hook == "on_train_end" and self.path is not None and trainer.is_global_zero:
            Path(self.path).write_text(json.dumps(self.steps[10:]), encoding="utf-8")
