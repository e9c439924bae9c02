"""How cost grows: with the size of a step, with the length of a stream, with a memory, and over two processes.

Each curve has its exponent, the slope of log cost over log size with its 95 % interval: 0 costs nothing more, 1 is
proportional, 2 is quadratic.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from scipy import stats

from benchmarks.performance.clock import alternate
from benchmarks.performance.suite import Rows, Settings, spread
from lifelong.checkpoint import StreamCheckpoint
from lifelong.datamodule import EpisodicDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.examples import ExampleDataModule
from lifelong.learner import Learner
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.loggers import MetricsCSV
from lifelong.networks import MLP, Conv4
from lifelong.outer import OuterLoop
from lifelong.run import RunFolder
from lifelong.strategy import Strategy
from lifelong.stream import Domain, Source
from lifelong.streaming import StreamDataModule
from strategies import EWC, AdapterBank, Replay

ROOT = Path(__file__).parents[2]
PARTS = {
    "steps": "training steps of one experience",
    "end": "end of an experience: the strategy's work",
    "evaluation": "evaluation of all domains",
    "report": "row, metrics, files and pictures",
    "checkpoint": "checkpoint",
}
"""What is timed in a stream, in the order in which it happens."""
STRATEGIES: dict[str, Callable[[int], list[Strategy]]] = {
    "EWC": lambda n: [EWC(strength=1.0, n_fisher_tasks=8)],
    "Replay": lambda n: [Replay(budget_examples=12 * n)],
    "AdapterBank": lambda n: [AdapterBank(n_signature_tasks=8)],
}


class Blobs(Source):
    """Domains of classes that lie around points: cheap to make, so that the length of a stream is what is measured.

    Args:
        n_domains: domains.
        n_classes: of each.
        n_examples: of each class.
        shape: of one input.
        seed: of all that is drawn.

    Example:
        >>> [domain.x.shape for domain in Blobs(n_domains=2, n_classes=3, n_examples=4, shape=(5,)).domains()]
        [torch.Size([12, 5]), torch.Size([12, 5])]
    """

    def __init__(
        self,
        *,
        n_domains: int = 1,
        n_classes: int = 8,
        n_examples: int = 12,
        shape: Sequence[int] = (16,),
        seed: int = 0,
    ) -> None:
        self.n_domains, self.n_classes, self.n_examples = n_domains, n_classes, n_examples
        self.shape, self.seed = tuple(shape), seed

    def domains(self) -> list[Domain]:
        """Each with classes of its own."""
        return [self._domain(number) for number in range(self.n_domains)]

    def _domain(self, number: int) -> Domain:
        rng = np.random.default_rng([self.seed, number])
        y = np.arange(self.n_classes).repeat(self.n_examples)
        x = rng.normal(size=(self.n_classes, *self.shape))[y] + rng.normal(scale=0.3, size=(len(y), *self.shape))
        names = [f"{number}-{c}" for c in range(self.n_classes)]
        return Domain(f"blobs {number + 1}", torch.from_numpy(x).float(), y, names, holdout="examples")


def measure(settings: Settings, tell: Callable[[str], None]) -> Rows:
    """Measure every curve that is asked for."""
    parts = (*_step_curves(settings, tell), *_stream_curves(settings, tell), *_buffers(settings, tell))
    return [*parts, *_two_processes(settings, tell)]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> dict[str, float]:
    """Slope of log cost over log size with half of its 95 % interval (Student's t, over the points).

    Args:
        sizes: at least two different ones, above 0; with two there is no interval.
        costs: of each, above 0.

    Example:
        >>> found = exponent([1, 2, 4, 8], [3, 12, 48, 192])
        >>> round(found["exponent"], 6), round(found["half_width"], 6)
        (2.0, 0.0)
    """
    line = stats.linregress(np.log(sizes), np.log(costs))
    free = len(sizes) - 2
    half_width = float(stats.t.ppf(0.975, free) * line.stderr) if free > 0 else float("nan")
    return {"exponent": float(line.slope), "half_width": half_width}


# -- a step -------------------------------------------------------------------------------------------------------

SHAPE = {"tasks per batch": 4, "ways": 5, "shots": 5, "inner steps": 3}
"""What a step has where nothing else is said; there are 5 queries per class."""
SIZES = {
    "tasks per batch": (1, 2, 4, 8, 16, 32),
    "ways": (2, 4, 8, 16, 32),
    "shots": (1, 2, 4, 8, 16, 32),
    "inner steps": (1, 2, 4, 8, 16),
}
CONV = "Conv4-16 on 28 × 28"
LEARNERS = ("MAML, MLP", f"MAML, {CONV}", "ProtoNet, MLP", f"ProtoNet, {CONV}")


def _step_curves(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for name in LEARNERS:
        for what, sizes in SIZES.items():
            label = f"{name}: {what}"
            if not settings.wants(label) or (what == "inner steps" and name.startswith("ProtoNet")):
                continue
            tell(label)
            sizes = sizes[1:4] if settings.quick else sizes
            steps = {str(size): _step(name, SHAPE | {what: size}, settings.device) for size in sizes}
            repetitions, seconds = (2, 0.01) if settings.quick else (5, 0.1)
            found = alternate(steps, device=settings.device, repetitions=repetitions, seconds=seconds)
            points = [{"size": size} | spread(found[str(size)]) for size in sizes]
            yield _curve("step", name, what, "seconds per step", points)


def _step(name: str, shape: dict[str, int], device: torch.device) -> Callable[[], object]:
    """One training step as the Trainer takes it: tasks drawn and gathered, losses, gradients, optimizer."""
    n_way = shape["ways"]
    is_image = name.endswith(CONV)
    source = Blobs(n_classes=n_way, n_examples=64, shape=(1, 28, 28) if is_image else (16,))
    data = EpisodicDataModule(
        [source], n_way=n_way, n_shot=shape["shots"], tasks_per_batch=shape["tasks per batch"], split=(10, 10)
    )
    n_outputs = n_way if name.startswith("MAML") else 64
    learner = _learner(name, n_outputs, shape["inner steps"], is_image).to(device)
    optimizer = learner.outer.make_optimizer(learner.parameters())
    numbers = iter(range(10**9))

    def step() -> None:
        batch = data.draw_for_training(0, data.units(0, next(numbers))).gather(device)
        loss = learner.mean(learner.losses(learner.meta_parameters(), batch), batch.weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _learner(name: str, n_outputs: int, n_inner_steps: int, is_image: bool) -> Learner:
    torch.manual_seed(0)
    network = (
        Conv4(n_filters=16, norm="batch", image_size=28, n_outputs=n_outputs)
        if is_image
        else MLP(n_inputs=16, hidden=[64, 64], n_outputs=n_outputs)
    )
    if name.startswith("MAML"):
        return MAML(network, n_inner_steps=n_inner_steps)
    return ProtoNet(network)


# -- a stream -----------------------------------------------------------------------------------------------------


class Clock(L.Callback):
    """Notes what each part of each experience takes; the first of the callbacks, so that it surrounds the others."""

    def __init__(self) -> None:
        self.seconds: list[dict[str, float]] = []
        self.steps: list[float] = []
        """Of the current experience, one by one."""
        self._since = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """What is before it is the checkpoint of the experience before."""
        self._note("checkpoint")
        self.seconds.append({})
        self.steps = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Callbacks come before the learner, whose last step ends the experience for its strategies."""
        self.steps.append(self._note("steps"))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The strategies are done."""
        self._note("end")

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """All domains are scored."""
        self._note("evaluation")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The row is in the files."""
        self._note("report")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last checkpoint."""
        self._note("checkpoint")

    def _note(self, part: str) -> float:
        now = time.perf_counter()
        passed, self._since = now - self._since, now
        if self.seconds:
            self.seconds[-1][part] = self.seconds[-1].get(part, 0.0) + passed
        return passed


class CheckpointBytes(L.Callback):
    """Notes how large the checkpoint is after each experience; after the callback that writes it."""

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, list[int]()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """It has just been written."""
        self.found.append(self.path.stat().st_size)


def learn(
    learner: Learner, data: StreamDataModule, strategies: Iterable[Strategy], folder: Path, **settings: Any
) -> tuple[Clock, CheckpointBytes]:
    """Learn a stream as the command line does, all files included; returns what was noted on the way."""
    run = RunFolder(folder)
    checkpoint, size, clock = StreamCheckpoint(keep_experiences=False), CheckpointBytes(run.checkpoints / "last.ckpt"), Clock()
    checkpoint.folder = run.checkpoints
    learner.use(strategies)
    plain: dict[str, Any] = {
        "max_epochs": -1,
        "inference_mode": False,
        "logger": MetricsCSV(run),
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
        "callbacks": [clock, Evaluator(Report(run, {})), checkpoint, size],
    }
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        L.Trainer(**(plain | settings)).fit(learner, datamodule=data)
    return clock, size


def _stream_curves(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    n = 40 if settings.quick else 1000
    for name, make in STRATEGIES.items():
        if not settings.wants(f"stream: {name}"):
            continue
        tell(f"stream of {n} experiences: {name}")
        torch.manual_seed(0)
        learner = ProtoNet(MLP(n_inputs=16, hidden=[64], n_outputs=32))
        with tempfile.TemporaryDirectory() as folder:
            clock, size = learn(learner, _stream(n), make(n), Path(folder), **_where(settings.device))
        for part in PARTS:
            yield _curve("stream", name, part, "seconds", _by_decade([s.get(part, 0.0) for s in clock.seconds]))
        yield _curve("stream", name, "checkpoint size", "bytes", _by_decade(size.found))


def _stream(n_domains: int) -> EpisodicDataModule:
    return EpisodicDataModule(
        [Blobs(n_domains=n_domains)],
        n_way=3,
        n_shot=2,
        n_query=2,
        tasks_per_batch=4,
        steps_per_experience=4,
        n_eval_tasks=4,
        split=(4, 4),
    )
