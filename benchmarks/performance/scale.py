"""Growth of costs: with the size of a step, the length of a stream, a memory, and over two processes.

Each curve has an exponent, the slope of log cost over log size with its 95 % interval: 0 is constant, 1 is
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
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import stats

import lifelong
from benchmarks.performance.clocks import ADAM, StreamClock
from benchmarks.performance.suite import ROOT, Row, Say, Settings, alternate, spread
from datamodules import EpisodicDataModule, ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import MAML, Classifier, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from lifelong.strategy import Strategy
from lifelong.training.optimizer import make_optimizer
from strategies import EWC, AdapterBank, Budget, Replay

PARTS = ("steps", "end", "evaluation", "report", "checkpoint")
"""Parts of an experience in a stream, in order."""
STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "EWC": lambda n: EWC(strength=1.0, n_fisher_tasks=8),
    "Replay": lambda n: Replay(budget=Budget(examples=12 * n)),
    "AdapterBank": lambda n: AdapterBank(n_signature_tasks=8),
}
SHAPE = {"tasks per batch": 4, "ways": 5, "shots": 5, "inner steps": 3}
"""Default size of a step; there are 5 queries per class."""
SIZES = {
    "tasks per batch": (1, 2, 4, 8, 16, 32),
    "ways": (2, 4, 8, 16, 32),
    "shots": (1, 2, 4, 8, 16, 32),
    "inner steps": (1, 2, 4, 8, 16),
}
CONV = "Conv4-8 on 16 × 16"
LEARNERS = ("MAML, MLP", f"MAML, {CONV}", "ProtoNet, MLP", f"ProtoNet, {CONV}")


class Blobs(Source):
    """Draw domains of classes around random points; they are cheap, so the stream's length dominates the cost.

    Args:
        n_domains: number of domains.
        n_classes: number of classes per domain.
        n_examples: number of examples per class.
        shape: shape of one input.

    Example:
        >>> [domain.x.shape for domain in Blobs(n_domains=2, n_classes=3, n_examples=4, shape=(5,)).domains()]
        [torch.Size([12, 5]), torch.Size([12, 5])]
    """

    def __init__(
        self, *, n_domains: int = 1, n_classes: int = 8, n_examples: int = 12, shape: Sequence[int] = (16,)
    ) -> None:
        self.n_domains, self.n_classes, self.n_examples, self.shape = n_domains, n_classes, n_examples, tuple(shape)

    def domains(self) -> list[Domain]:
        """Return domains with disjoint classes."""
        return [self._domain(number) for number in range(self.n_domains)]

    def _domain(self, number: int) -> Domain:
        rng = np.random.default_rng([0, number])
        y = np.arange(self.n_classes).repeat(self.n_examples)
        x = rng.normal(size=(self.n_classes, *self.shape))[y] + rng.normal(scale=0.3, size=(len(y), *self.shape))
        names = [f"{number}-{c}" for c in range(self.n_classes)]
        return Domain(f"blobs {number + 1}", torch.from_numpy(x).float(), y, names, holdout="examples")


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure all curves."""
    for curves in (_steps, _streams, _memories, _processes):
        yield from curves(settings, say)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> list[float]:
    """Return the slope of log cost over log size, and the half width of its 95 % interval (Student's t over points).

    Args:
        sizes: at least two different positive sizes; with two, the interval is NaN.
        costs: positive cost of each size.

    Example:
        >>> [round(value, 6) for value in exponent([1, 2, 4, 8], [3, 12, 48, 192])]
        [2.0, 0.0]
    """
    x, y = np.log(sizes), np.log(costs)
    slope, start = np.polyfit(x, y, 1)  # scipy's linregress has no interval for equal costs
    free, residual = len(x) - 2, np.square(y - start - slope * x).sum()
    variance = residual / free / np.square(x - x.mean()).sum() if free else np.nan
    return [float(slope), float(stats.t.ppf(0.975, free) * np.sqrt(variance)) if free else float("nan")]


def _steps(settings: Settings, say: Say) -> Iterator[Row]:
    for name, (axis, sizes) in itertools.product(LEARNERS, SIZES.items()):
        label = f"{name}: {axis}"
        if not settings.wants(label) or (axis == "inner steps" and name.startswith("ProtoNet")):
            continue
        say(label)
        sizes = sizes[:2] if settings.quick else sizes
        steps = {str(size): _step(name, SHAPE | {axis: size}, settings.device) for size in sizes}
        repetitions, seconds = (2, 0.01) if settings.quick else (5, 0.1)
        times = alternate(steps, device=settings.device, repetitions=repetitions, seconds=seconds)
        yield curve("step", name, axis, axis, "seconds", {size: times[str(size)] for size in sizes})


def _step(name: str, shape: dict[str, int], device: torch.device) -> Callable[[], object]:
    """Make a training step as in the Trainer: tasks drawn and gathered, losses, gradients, optimizer."""
    n_way, is_image = shape["ways"], name.endswith(CONV)
    source = Blobs(n_classes=n_way, n_examples=120, shape=(1, 16, 16) if is_image else (16,))
    data = EpisodicDataModule(
        [source], n_way=n_way, n_shot=shape["shots"], tasks_per_batch=shape["tasks per batch"], split=(40, 40)
    )
    torch.manual_seed(0)
    n_outputs = n_way if name.startswith("MAML") else 64
    network = (
        Conv4(fused=True, n_filters=8, image_size=16, n_outputs=n_outputs) if is_image else _mlp(n_outputs, 64, 64)
    )
    learner = MAML(network, n_inner_steps=shape["inner steps"]) if name.startswith("MAML") else ProtoNet(network)
    learner.to(device)
    optimizer, runner, numbers = make_optimizer(ADAM, learner.parameters()), TaskRunner(), itertools.count()

    def step() -> None:
        batch = data.draw_for_training(0, data.units(0, next(numbers))).gather(device)
        loss = runner.mean(runner.losses(learner, learner.meta_parameters(), batch), batch.weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _mlp(n_outputs: int, *hidden: int) -> MLP:
    return MLP(n_inputs=16, hidden=list(hidden), n_outputs=n_outputs)


def learn(learner: Learner, data: StreamDataModule, strategy: Strategy, settings: Settings) -> StreamClock:
    """Learn a stream as on the command line, with all files."""
    clock = StreamClock()
    quiet = {"logger": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        run = str(Path(folder) / "run")
        lifelong.fit(
            learner,
            data,
            strategies=[strategy],
            optimizer=ADAM,
            run=run,
            callbacks=[clock],
            **settings.trainer,
            **quiet,
        )
    return clock


def _streams(settings: Settings, say: Say) -> Iterator[Row]:
    n, every = (12, 4) if settings.quick else (1000, 250)
    for name, make in STRATEGIES.items():
        if not settings.wants(f"stream: {name}"):
            continue
        say(f"stream of {n} experiences: {name}")
        torch.manual_seed(0)
        clock = learn(ProtoNet(_mlp(32, 32)), stream(n, every), make(n), settings)
        parts = dict(enumerate(clock.seconds, 1))
        whole = {number: seconds for number, seconds in parts.items() if number % every == 0 or number == n}
        between = {number: seconds for number, seconds in parts.items() if number not in whole}
        for part in PARTS:
            costs = {number: seconds.get(part, 0.0) for number, seconds in between.items()}
            yield curve("stream", name, part, "experience", "seconds", binned(costs))
        for part, label in (("evaluation", "evaluation of all"), ("report", "report of a whole row")):
            costs = {number: [seconds[part]] for number, seconds in whole.items()}
            yield curve("stream", name, label, "experience", "seconds", costs)
        yield curve("stream", name, "checkpoint size", "experience", "bytes", binned(dict(enumerate(clock.bytes, 1))))


def stream(n_domains: int, evaluate_every: int) -> EpisodicDataModule:
    """Make a stream of few tiny steps that rarely evaluates whole rows of the matrix."""
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


def binned(costs: dict[int, float], n_bins: int = 8) -> dict[int, list[float]]:
    """Collect costs over growing stretches of the stream, without the first experiences, which are a warm-up."""
    numbers = np.array([number for number in costs if number >= 5])
    edges = np.unique(np.geomspace(5, numbers[-1] + 1, n_bins + 1).round().astype(int)).tolist()
    chosen = [numbers[(numbers >= low) & (numbers < high)].tolist() for low, high in itertools.pairwise(edges)]
    return {statistics.median_low(part): [costs[number] for number in part] for part in chosen if part}


def _memories(settings: Settings, say: Say) -> Iterator[Row]:
    sizes = (100, 1000) if settings.quick else (100, 1000, 10_000, 100_000)
    for unit in ("tasks", "examples"):
        if not settings.wants(f"buffer: {unit}"):
            continue
        steps, ends = {}, {}
        for size in sizes:
            say(f"buffer of {size} {unit}")
            replay = Replay(budget=Budget(examples=size))
            clock = learn(*_filling(unit, size), replay, settings)
            assert len(replay.kept) > 0.9 * size, "the memory is full when its steps are timed"
            steps[size], ends[size] = clock.steps[10:], [clock.seconds[-1]["end"]]
        for part, costs in (("step", steps), ("end of an experience", ends)):
            yield curve("buffer", f"Replay of {unit}", part, "examples in memory", "seconds", costs)


def _filling(unit: str, size: int) -> tuple[Learner, StreamDataModule]:
    """Make a stream whose first experience fills a memory of a given size."""
    torch.manual_seed(0)
    if unit == "tasks":
        source = Blobs(n_domains=2, n_classes=10, n_examples=max(size // 5, 50))
        shape = {"n_way": 5, "n_shot": 2, "n_query": 2, "tasks_per_batch": 4, "n_eval_tasks": 4}
        return ProtoNet(_mlp(32, 32)), EpisodicDataModule([source], steps_per_experience=60, split=(10, 10), **shape)
    source = Blobs(n_domains=2, n_classes=10, n_examples=size // 10 + 40)
    examples = ExampleDataModule([source], batch_size=32, steps_per_experience=60, n_eval_examples=10, split=(10, 10))
    return Classifier(_mlp(20, 32)), examples


def _processes(settings: Settings, say: Say) -> Iterator[Row]:
    for n_processes in (1, 2):
        name = f"{n_processes} process{'es' if n_processes > 1 else ''}"
        if not settings.wants(f"ranks: {name}") or settings.device.type != "cpu":
            continue
        costs = {}
        for size in (2,) if settings.quick else (2, 8, 16):
            say(f"{name}, {size} tasks per batch")
            costs[size] = _apart(n_processes, size, 15 if settings.quick else 25)
        yield curve("ranks", f"MAML, {CONV}", name, "tasks per batch", "seconds", costs)


def _apart(n_processes: int, n_tasks: int, n_steps: int) -> list[float]:
    """Return the seconds per step of a run on the command line, with one thread per process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "steps.json"
        options = [
            *("--model=MAML", "--model.n_inner_steps=1", "--model.network=Conv4", "--model.network.n_filters=8"),
            *("--model.network.image_size=16", "--model.network.n_outputs=5"),
            "--data.sources=[{class_path: benchmarks.performance.scale.Blobs, init_args: {shape: [1, 16, 16]}}]",
            *("--data.split=[4, 4]", "--data.n_shot=2", "--data.n_query=2", f"--data.tasks_per_batch={n_tasks}"),
            *(f"--data.steps_per_experience={n_steps}", "--data.n_eval_tasks=2", "--strategies=[]"),
            *("--trainer.logger=false", "--trainer.accelerator=cpu", f"--trainer.devices={n_processes}"),
            *(["--trainer.strategy=ddp"] if n_processes > 1 else []),
            *("--trainer.callbacks+=benchmarks.performance.clocks.StreamClock", f"--trainer.callbacks.path={result}"),
            f"--run.root={folder}/runs",
        ]
        command = [sys.executable, "-m", "lifelong", "fit", *options]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise ValueError(f"the run on {n_processes} processes failed: {done.stderr[-2000:]}")
        return [float(seconds) for seconds in json.loads(result.read_text(encoding="utf-8"))]


def curve(group: str, name: str, what: str, size: str, unit: str, costs: dict[int, list[float]]) -> Row:
    """Make a row of sizes and costs, with the exponent if there are two positive points."""
    row: Row = {"setup": f"{group}: {name}: {what}", "group": group, "name": name, "what": what, "size": size}
    row |= {"unit": unit, "points": [[number, *spread(values)] for number, values in costs.items()]}
    medians = {number: median for number, median, *_ in row["points"]}
    if len(medians) > 1 and min(medians.values()) > 0:
        row["exponent"] = exponent(list(medians), list(medians.values()))
    return row
