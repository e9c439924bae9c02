"""How cost grows: with the size of a step, with the length of a stream, with a memory, and over two processes.

Each curve has its exponent, the slope of log cost over log size with its 95 % interval: 0 costs nothing more, 1 is
proportional, 2 is quadratic.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from lifelong.run.folder import RunFolder
from lifelong.run.loggers import MetricsCSV
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint
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


def measure(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Measure every curve that is asked for."""
    for curves in (_step_curves, _stream_curves, _buffers, _two_processes):
        yield from curves(settings, tell)


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
    x, y = np.log(sizes), np.log(costs)
    slope, start = np.polyfit(x, y, 1)  # scipy's linregress has no interval for costs that are all the same
    free, left = len(x) - 2, np.square(y - start - slope * x).sum()
    half_width = stats.t.ppf(0.975, free) * np.sqrt(left / free / np.square(x - x.mean()).sum()) if free else np.nan
    return {"exponent": float(slope), "half_width": float(half_width)}


# -- a step -------------------------------------------------------------------------------------------------------

SHAPE = {"tasks per batch": 4, "ways": 5, "shots": 5, "inner steps": 3}
"""What a step has where nothing else is said; there are 5 queries per class."""
SIZES = {
    "tasks per batch": (1, 2, 4, 8, 16, 32),
    "ways": (2, 4, 8, 16, 32),
    "shots": (1, 2, 4, 8, 16, 32),
    "inner steps": (1, 2, 4, 8, 16),
}
CONV = "Conv4-8 on 16 × 16"
LEARNERS = ("MAML, MLP", f"MAML, {CONV}", "ProtoNet, MLP", f"ProtoNet, {CONV}")


def _step_curves(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for name in LEARNERS:
        for what, sizes in SIZES.items():
            label = f"{name}: {what}"
            if not settings.wants(label) or (what == "inner steps" and name.startswith("ProtoNet")):
                continue
            tell(label)
            sizes = sizes[:2] if settings.quick else sizes
            steps = {str(size): _step(name, SHAPE | {what: size}, settings.device) for size in sizes}
            repetitions, seconds = (2, 0.01) if settings.quick else (5, 0.1)
            found = alternate(steps, device=settings.device, repetitions=repetitions, seconds=seconds)
            points = [{"size": size} | spread(found[str(size)]) for size in sizes]
            yield _curve("step", name, what, what, "seconds per step", points)


def _step(name: str, shape: dict[str, int], device: torch.device) -> Callable[[], object]:
    """One training step as the Trainer takes it: tasks drawn and gathered, losses, gradients, optimizer."""
    n_way = shape["ways"]
    is_image = name.endswith(CONV)
    source = Blobs(n_classes=n_way, n_examples=120, shape=(1, 16, 16) if is_image else (16,))
    data = EpisodicDataModule(
        [source], n_way=n_way, n_shot=shape["shots"], tasks_per_batch=shape["tasks per batch"], split=(40, 40)
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
        Conv4(n_filters=8, norm="batch", image_size=16, n_outputs=n_outputs)
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
        self.path = path
        self.found: list[int] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """It has just been written."""
        self.found.append(self.path.stat().st_size)


@dataclass(frozen=True)
class Noted:
    """What a stream took.

    Args:
        seconds: of the parts of each experience.
        steps: seconds of the steps of the last experience.
        bytes: of the checkpoint after each experience.
    """

    seconds: list[dict[str, float]]
    steps: list[float]
    bytes: list[int]


def learn(
    learner: Learner, data: StreamDataModule, strategies: Iterable[Strategy], folder: Path, device: torch.device
) -> Noted:
    """Learn a stream as the command line does, with all files that it writes into the folder."""
    run = RunFolder(folder)
    checkpoint, clock = StreamCheckpoint(keep_experiences=False), Clock()
    checkpoint.folder, size = run.checkpoints, CheckpointBytes(run.checkpoints / "last.ckpt")
    learner.use(strategies)
    trainer = L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=-1,
        inference_mode=False,
        logger=MetricsCSV(run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[clock, Evaluator(Report(run, {})), checkpoint, size],
    )
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        trainer.fit(learner, datamodule=data)
    return Noted(clock.seconds, clock.steps, size.found)


def _stream_curves(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    n, every = (12, 4) if settings.quick else (1000, 250)
    for name, make in STRATEGIES.items():
        if not settings.wants(f"stream: {name}"):
            continue
        tell(f"stream of {n} experiences: {name}")
        torch.manual_seed(0)
        learner = ProtoNet(MLP(n_inputs=16, hidden=[32], n_outputs=32))
        with tempfile.TemporaryDirectory() as folder:
            noted = learn(learner, stream(n, every), make(n), Path(folder), settings.device)
        in_between, whole = _by_kind(noted.seconds, every)
        for part in PARTS:
            yield _curve("stream", name, part, "experience", "seconds", _binned(in_between, part))
        yield _curve("stream", name, "evaluation of all", "experience", "seconds", _points(whole, "evaluation"))
        yield _curve("stream", name, "report of a whole row", "experience", "seconds", _points(whole, "report"))
        yield _curve("stream", name, "checkpoint size", "experience", "bytes", _binned(dict(enumerate(noted.bytes, 1))))


def stream(n_domains: int, evaluate_every: int) -> EpisodicDataModule:
    """A stream of few tiny steps, of which whole rows of the matrix come seldom."""
    return EpisodicDataModule(
        [Blobs(n_domains=n_domains)],
        n_way=3,
        n_shot=2,
        n_query=2,
        tasks_per_batch=4,
        steps_per_experience=2,
        n_eval_tasks=4,
        evaluate_every=evaluate_every,
        split=(4, 4),
    )


def _by_kind(seconds: Sequence[dict[str, float]], every: int) -> tuple[dict[int, Any], dict[int, Any]]:
    """By number of the experience what its parts took: of those with two domains evaluated, and of those with all."""
    numbered = dict(enumerate(seconds, 1))
    whole = {number: parts for number, parts in numbered.items() if number % every == 0 or number == len(seconds)}
    return {number: parts for number, parts in numbered.items() if number not in whole}, whole


def _points(found: dict[int, Any], part: str) -> list[dict[str, float]]:
    return [{"size": number} | spread([parts[part]]) for number, parts in found.items()]


def _binned(found: dict[int, Any], part: str | None = None, n_bins: int = 8) -> list[dict[str, float]]:
    """Spreads over stretches of the stream, each of the same factor; its first experiences, which warm up, left out."""
    numbers = np.array([number for number in found if number >= 5])
    edges = np.unique(np.geomspace(5, numbers[-1] + 1, n_bins + 1).round().astype(int))
    points = []
    for low, high in itertools.pairwise(edges.tolist()):
        chosen = numbers[(numbers >= low) & (numbers < high)].tolist()
        values = [found[number] if part is None else found[number].get(part, 0.0) for number in chosen]
        if values:
            points.append({"size": statistics.median(chosen)} | spread(values))
    return points


# -- a memory -----------------------------------------------------------------------------------------------------


def _buffers(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    sizes = (100, 1000) if settings.quick else (100, 1000, 10_000, 100_000)
    for unit in ("tasks", "examples"):
        if not settings.wants(f"buffer: {unit}"):
            continue
        steps, ends = [], []
        for size in sizes:
            tell(f"buffer of {size} {unit}")
            replay = Replay(budget_examples=size)
            with tempfile.TemporaryDirectory() as folder:
                noted = learn(*_filling(unit, size), [replay], Path(folder), settings.device)
            assert len(replay.kept) > 0.9 * size, "the memory is full when its steps are timed"
            steps.append({"size": size} | spread(noted.steps[10:]))
            ends.append({"size": size} | spread([noted.seconds[-1]["end"]]))
        yield _curve("buffer", f"Replay of {unit}", "step", "examples in memory", "seconds per step", steps)
        yield _curve("buffer", f"Replay of {unit}", "end of an experience", "examples in memory", "seconds", ends)


def _filling(unit: str, size: int) -> tuple[Learner, StreamDataModule]:
    """A stream whose first experience fills a memory of that size."""
    torch.manual_seed(0)
    if unit == "tasks":
        source = Blobs(n_domains=2, n_classes=10, n_examples=max(size // 5, 50))
        shape = {"n_way": 5, "n_shot": 2, "n_query": 2, "tasks_per_batch": 4, "n_eval_tasks": 4}
        data = EpisodicDataModule([source], steps_per_experience=60, split=(10, 10), **shape)
        return ProtoNet(MLP(n_inputs=16, hidden=[32], n_outputs=32)), data
    source = Blobs(n_domains=2, n_classes=10, n_examples=size // 10 + 40)
    examples = ExampleDataModule([source], batch_size=32, steps_per_experience=60, n_eval_examples=10, split=(10, 10))
    return Classifier(MLP(n_inputs=16, hidden=[32], n_outputs=20)), examples


# -- two processes ------------------------------------------------------------------------------------------------


class StepSeconds(Clock):
    """Writes what the steps of the last experience took; for runs in processes of their own.

    Args:
        path: of a JSON file, written by the first process.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Steps after the first ten."""
        if trainer.is_global_zero:
            Path(self.path).write_text(json.dumps(self.steps[10:]), encoding="utf-8")


def _two_processes(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    sizes = (2,) if settings.quick else (2, 8, 16)
    for n_processes in (1, 2):
        name = f"{n_processes} process{'es' if n_processes > 1 else ''}"
        if not settings.wants(f"ranks: {name}") or settings.device.type != "cpu":
            continue
        points = []
        for size in sizes:
            tell(f"{name}, {size} tasks per batch")
            points.append({"size": size} | spread(_apart(n_processes, size, 15 if settings.quick else 25)))
        yield _curve("ranks", f"MAML, {CONV}", name, "tasks per batch", "seconds per step", points)


def _apart(n_processes: int, n_tasks: int, n_steps: int) -> list[float]:
    """Seconds of the steps of a run by the command line, one thread for each process."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "steps.json"
        options = [
            "--model=MAML",
            "--model.n_inner_steps=1",
            "--model.network=Conv4",
            "--model.network.n_filters=8",
            "--model.network.image_size=16",
            "--model.network.n_outputs=5",
            "--data.sources=[{class_path: benchmarks.performance.scale.Blobs, init_args: {shape: [1, 16, 16]}}]",
            "--data.split=[4, 4]",
            "--data.n_shot=2",
            "--data.n_query=2",
            f"--data.tasks_per_batch={n_tasks}",
            f"--data.steps_per_experience={n_steps}",
            "--data.n_eval_tasks=2",
            "--strategies=[]",
            "--trainer.logger=false",
            "--trainer.accelerator=cpu",
            f"--trainer.devices={n_processes}",
            *(["--trainer.strategy=ddp"] if n_processes > 1 else []),
            "--trainer.callbacks+=benchmarks.performance.scale.StepSeconds",
            f"--trainer.callbacks.path={found}",
            f"--run.root={folder}/runs",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "lifelong", "fit", *options],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the run on {n_processes} processes failed: {done.stderr[-2000:]}")
        seconds: list[float] = json.loads(found.read_text(encoding="utf-8"))
        return seconds


# -- what a person sees -------------------------------------------------------------------------------------------


def _curve(
    group: str, name: str, what: str, size: str, unit: str, points: Sequence[dict[str, float]]
) -> dict[str, Any]:
    about = {"setup": f"{group}: {name}: {what}", "group": group, "name": name, "what": what}
    row = about | {"size": size, "unit": unit, "points": list(points)}
    if len(points) < 2 or any(point["median"] <= 0 for point in points):
        return row
    return row | exponent([p["size"] for p in points], [p["median"] for p in points])


GROUPS = {
    "step": "One training step: how its seconds grow",
    "stream": "One experience in a long stream: how its cost grows with its number",
    "buffer": "Replay: how its seconds grow with the memory",
    "ranks": "One and two processes, a thread each",
}


def tables(rows: Rows) -> list[Table]:
    """One table for each group of curves, a row for each curve."""
    return [_table(title, [row for row in rows if row["group"] == group]) for group, title in GROUPS.items()]


def _table(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left")
    for head in ("what", "against", "from", "to", "cost", "exponent ± 95 % CI"):
        table.add_column(head, justify="left" if head in ("what", "against") else "right")
    for row in rows:
        first, last = row["points"][0], row["points"][-1]
        table.add_row(
            f"{row['name']}: {row['what']}",
            row["size"],
            f"{first['size']:g}",
            f"{last['size']:g}",
            f"{_amount(first['median'], row['unit'])} … {_amount(last['median'], row['unit'])}",
            _slope(row) or "n/a",
        )
    return table


def _slope(row: dict[str, Any]) -> str:
    """The exponent with its interval, as far as they are known."""
    if "exponent" not in row:
        return ""
    half_width = "" if np.isnan(row["half_width"]) else f" ± {row['half_width']:.2f}"
    return f"{row['exponent']:.2f}{half_width}"


def _amount(value: float, unit: str) -> str:
    """A cost in a unit that suits its size.

    Example:
        >>> _amount(0.0021, "seconds"), _amount(3_200_000, "bytes")
        ('2.1 ms', '3.2 MB')
    """
    factor, name = (1e-6, "MB") if unit == "bytes" else (1e3, "ms")
    number = value * factor
    return f"{number:,.0f} {name}" if number >= 1000 else f"{number:.3g} {name}"


def plot(rows: Rows) -> Figure:
    """Every curve with its range on two logarithmic axes, a panel for what belongs together, exponents in legends."""
    panels: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        panels.setdefault(_panel(row), []).append(row)
    n_columns = min(len(panels), 2)
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(9.5 * n_columns, 4.2 * n_rows), layout="constrained")
    for number, ((group, size, _, name), curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        for row, marker in zip(curves, itertools.cycle("osD^vPX<>ph*")):
            x, y, low, high = ([point[key] for point in row["points"]] for key in ("size", "median", "low", "high"))
            slope = f", exponent {_slope(row)}" if _slope(row) else ""
            about = row["what"] if name else row["name"] if row["what"] == size else f"{row['name']}: {row['what']}"
            (line,) = axes.plot(x, y, marker=marker, markersize=4, linewidth=1.2, label=f"{about}{slope}")
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        title = f"{GROUPS[group]}{name and f' ({name})'}"
        axes.set(xscale="log", yscale="log", xlabel=size, ylabel=curves[0]["unit"], title=title)
        sizes = sorted({point["size"] for row in curves for point in row["points"]})
        if len(sizes) <= MOST_TICKS:
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


MOST_TICKS = 6
"""Sizes that have their own ticks; of more, powers of ten have."""


def _panel(row: dict[str, Any]) -> tuple[str, ...]:
    """Group, size, unit, and a strategy's name where it has a panel of its own."""
    unit = row["unit"].split()[0]
    return row["group"], row["size"], unit, row["name"] if row["group"] == "stream" and unit == "seconds" else ""
