"""Peak memory of one meta-training step by tasks and by inner steps, and the time that saving it costs.

Second-order MAML on Conv4 with max-pooling, 5-way 1-shot with 15 queries; ours with every value of
``--model.outer.recompute``, tasks in a loop, beside learn2learn as its example has it, which calls ``backward()`` after
each task, and with the losses summed over tasks. Peaks are those of the tensors that torch's allocator has given out,
above what is held before the step.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmarks.performance.clock import alternate
from benchmarks.performance.contenders import in_layers_of_torch
from benchmarks.performance.suite import Rows, Settings
from lifelong.compute.recompute import Recompute
from lifelong.data.episode import Episode
from lifelong.learners import MAML
from lifelong.networks import Conv4
from lifelong.training.optimizer import OuterLoop
from lifelong.utilities.learn2learn import import_learn2learn

OURS = tuple(f"recompute {what}" for what in get_args(Recompute))
THEIRS = ("learn2learn, a task at a time", "learn2learn, summed")
N_WAY, N_SHOT, N_QUERY, RATE, MB = 5, 1, 15, 0.1, 2**20


@dataclass(frozen=True)
class Case:
    """One figure: whose step, how many tasks and inner steps, how wide a network."""

    name: str
    n_tasks: int = 4
    n_steps: int = 5
    n_filters: int = 64


def measure(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A row for every case: ``peak`` in MB, ``seconds`` of a step; or ``note`` where it could not be measured."""
    tasks, steps = ((1, 2), (1, 2)) if settings.quick else ((1, 2, 4, 8), (1, 2, 5, 10))
    n_tasks, n_steps, n_filters = (2, 1, 16) if settings.quick else (4, 5, 64)
    sizes = [(n, n_steps) for n in tasks] + [(n_tasks, n) for n in steps]
    names = [name for name in (*OURS, *_mapped(settings.device), *THEIRS) if settings.wants(name)]
    for name in set(names) & set(THEIRS):
        try:
            import_learn2learn()
        except ValueError as error:
            names.remove(name)
            yield asdict(Case(name)) | {"setup": name, "note": str(error)}
    cases = [Case(name, *size, n_filters) for size in dict.fromkeys(sizes) for name in names]
    found = {}
    for case in cases:
        tell(f"peak of {case.name}, {case.n_tasks} tasks, {case.n_steps} inner steps")
        found[case] = peak(training_step(case, settings.device), settings.device)
    for size in dict.fromkeys(sizes):
        tell(f"seconds of {size[0]} tasks, {size[1]} inner steps")
        calls = {name: training_step(Case(name, *size, n_filters), settings.device) for name in names}
        times = alternate(calls, device=settings.device, repetitions=1 if settings.quick else 3, seconds=0.0)
        for name, seconds in times.items():
            case = Case(name, *size, n_filters)
            setup = f"{name}, {case.n_tasks} tasks, {case.n_steps} inner steps"
            yield asdict(case) | {"setup": setup, "peak": found[case], "seconds": statistics.median(seconds)}


def _mapped(device: torch.device) -> tuple[str, ...]:
    return tuple(f"vmap, {name}" for name in OURS) if device.type == "cuda" else ()


def peak(step: Callable[[], None], device: torch.device) -> float:
    """MB that a step needs above what is held before it.

    Example:
        >>> peak(lambda: torch.ones(2**20).sum(), torch.device("cpu")) >= 4
        True
    """
    step()
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / MB
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells of itself
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    results: Any = profiler.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes)) / MB


def training_step(case: Case, device: torch.device) -> Callable[[], None]:
    """A call computes the meta-gradient of a batch of random tasks.

    Raises:
        ValueError: when learn2learn is asked for and missing.
    """
    torch.manual_seed(0)
    network = Conv4(n_filters=case.n_filters, norm="batch", pooling="max", image_size=28, n_outputs=N_WAY)
    n_support, n_query = N_WAY * N_SHOT, N_WAY * N_QUERY
    x = torch.randn(case.n_tasks, n_support + n_query, 1, 28, 28)
    y = (torch.arange(n_support + n_query) % N_WAY).repeat(case.n_tasks, 1)
    batch = Episode(
        x[:, :n_support], y[:, :n_support], x[:, n_support:], y[:, n_support:], torch.ones(case.n_tasks), N_WAY
    ).to(device)
    if case.name in THEIRS:
        return _their_step(in_layers_of_torch(network).to(device), batch, case)
    mapping, recompute = "vmap" if case.name.startswith("vmap") else "loop", case.name.split()[-1]
    outer = OuterLoop(mapping=mapping, recompute=recompute)  # type: ignore[arg-type]
    learner = MAML(network, n_inner_steps=case.n_steps, inner_rate=RATE, outer=outer).to(device)

    def step() -> None:
        learner.zero_grad()
        losses, _ = learner.training_losses(learner.meta_parameters(), batch)
        losses.mean().backward()

    return step


def _their_step(network: Any, batch: Episode, case: Case) -> Callable[[], None]:
    algorithm = import_learn2learn().algorithms.MAML(network, lr=RATE)
    of_logits = torch.nn.functional.cross_entropy

    def step() -> None:
        algorithm.zero_grad()
        total = torch.zeros((), device=batch.weight.device)
        for support_x, support_y, query_x, query_y, _ in zip(*batch.tasks(), strict=True):
            learner = algorithm.clone()
            for _ in range(case.n_steps):
                learner.adapt(of_logits(learner(support_x), support_y))
            loss = of_logits(learner(query_x), query_y) / len(batch)
            if case.name == THEIRS[0]:
                loss.backward()
            else:
                total = total + loss
        if case.name == THEIRS[1]:
            total.backward()

    return step


def tables(rows: Rows) -> list[Table]:
    """Peaks and times by number of tasks and by inner steps, with the slopes."""
    found = [_table(rows, along, other, title) for along, other, title in AXES]
    for note in dict.fromkeys(row["note"] for row in rows if "note" in row):
        found[-1].caption = note
    return found


AXES = (("n_tasks", "n_steps", "tasks"), ("n_steps", "n_tasks", "inner steps"))


def _table(rows: Rows, along: str, other: str, title: str) -> Table:
    curves = _curves(rows, along, other)
    fixed = next((row[other] for curve in curves.values() for row in curve), 0)
    table = Table(title=f"Peak of one step in MB (seconds) by {title}, {other} {fixed}")
    table.add_column("")
    values = [row[along] for row in next(iter(curves.values()), [])]
    for heading in (*map(str, values), f"MB per {title.removesuffix('s')}", "time"):
        table.add_column(heading, justify="right")
    base = {row[along]: row["seconds"] for row in next(iter(curves.values()), [])}
    for name, curve in curves.items():
        cells = [f"{row['peak']:.1f} ({row['seconds']:.2f})" for row in curve]
        ratio = statistics.median(row["seconds"] / base[row[along]] for row in curve)
        per_one = slope([row[along] for row in curve], [row["peak"] for row in curve])
        table.add_row(name, *cells, f"{per_one:.1f}", f"{ratio:.2f}")
    return table


def _curves(rows: Rows, along: str, other: str) -> dict[str, Rows]:
    """The rows in which only ``along`` differs, by name: those with the most frequent value of ``other``."""
    measured = [row for row in rows if "peak" in row]
    fixed = statistics.mode(row[other] for row in measured) if measured else None
    names = dict.fromkeys(row["name"] for row in measured)
    mine = [row for row in measured if row[other] == fixed]
    return {name: sorted((r for r in mine if r["name"] == name), key=lambda r: r[along]) for name in names}


def slope(x: list[float], y: list[float]) -> float:
    """Of the line of least squares.

    Example:
        >>> round(slope([1, 2, 4], [3.0, 5.0, 9.0]), 6)
        2.0
    """
    return float(np.polyfit(x, y, 1)[0])


def plot(rows: Rows) -> Figure:
    """Peak by tasks, by inner steps, and against the time of a step: the trade."""
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    *by, trade = figure.subplots(1, 3)
    for axes, (along, other, title) in zip(by, AXES, strict=True):
        for name, curve in _curves(rows, along, other).items():
            axes.plot([row[along] for row in curve], [row["peak"] for row in curve], marker="o", label=name)
        axes.set(xlabel=title, ylabel="peak of one step in MB", ylim=(0, None))
    for name, curve in _curves(rows, *AXES[0][:2]).items():
        trade.scatter([curve[-1]["seconds"]], [curve[-1]["peak"]])
        trade.annotate(name, (curve[-1]["seconds"], curve[-1]["peak"]), fontsize=7)
    trade.margins(x=0.3)  # room for the names
    trade.set(xlabel="seconds of a step with the most tasks", ylabel="peak of one step in MB", ylim=(0, None))
    if by[0].lines:
        by[0].legend(fontsize=7)
    return figure
