"""Meta-training throughput, tasks per second, beside a loop by hand and learn2learn.

Two ways to look at it: the maths alone (batches drawn before), and end to end, where each draws and gathers its own
tasks: Lifelong from what lies in memory, as it always does, learn2learn from tensors in memory, and from files.
Losses of all contenders must agree on the first batch, or there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.performance.clock import alternate
from benchmarks.performance.contenders import ByHand, Contender, Learn2Learn, Ours, learn2learn_batches, tasks_of
from benchmarks.performance.setups import Setup, batches, grid
from benchmarks.performance.suite import Rows, Settings, spread, words

DATA = ("from memory", "from files")
"""Where the data of end-to-end steps come from."""
RATIOS = ("to the loop by hand", "to learn2learn", *DATA)
TOLERANCE = {"fp32": 2e-3, "tf32": 5e-2, "bf16": 1e-1}
"""Of the losses after the inner steps, relative to their mean."""


def measure(settings: Settings, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """All rows of the grid, each as soon as it is there."""
    for setup in grid(settings.device):
        if settings.wants(setup.name):
            tell(setup.name)
            yield measure_one(setup, settings)


def measure_one(setup: Setup, settings: Settings) -> dict[str, Any]:
    """One row: seconds a step of each contender, and ours against the others."""
    device = settings.device
    with settings.autocast():  # as it is found out how tasks run fastest
        contenders = [kind(setup, device) for kind in (Ours, ByHand, Learn2Learn)]
    source = batches(setup, device)
    apart = disagreement(contenders, next(source), settings)
    if apart > TOLERANCE[settings.precision]:
        raise ValueError(f"{setup.name}: the contenders' losses differ by {apart:.2e}, relatively: nothing to compare")
    ready = [next(source) for _ in range(2)]
    calls: dict[str, Callable[[], object]] = {
        contender.name: _over(contender, _again(ready), settings) for contender in contenders
    }
    ours, _, theirs = contenders
    with TemporaryDirectory() as folder:
        if not setup.is_regression:
            calls[f"Lifelong, {DATA[0]}"] = _over(ours, source, settings)
            calls[f"learn2learn, {DATA[0]}"] = _over(theirs, learn2learn_batches(setup, device), settings)
            if ready[0].query_x.dim() == 5:
                from_files = learn2learn_batches(setup, device, Path(folder))
                calls[f"learn2learn, {DATA[1]}"] = _over(theirs, from_files, settings)
        repetitions, seconds = (2, 0.05) if settings.quick else (5, 0.4)
        times = alternate(calls, device=device, repetitions=repetitions, seconds=seconds)
    n_tasks = {name: ours.n_tasks if name.startswith("Lifelong") else theirs.n_tasks for name in times}
    found = {name: [s / n_tasks[name] for s in seconds] for name, seconds in times.items()}
    row: dict[str, Any] = {"setup": setup.name, "plan": ours.plan, "tasks": setup.n_tasks, "losses differ": apart}
    row["tasks per second"] = {name: spread([1 / s for s in times]) for name, times in found.items()}
    row["ratio"] = {
        "to the loop by hand": _ratio(found["loop by hand"], found["Lifelong"]),
        "to learn2learn": _ratio(found["learn2learn"], found["Lifelong"]),
    }
    if device.type == "cuda":
        row["share of peak"] = flops(setup, device) * row["tasks per second"]["Lifelong"]["median"] / peak(settings)
    mine = found.get(f"Lifelong, {DATA[0]}", [])
    row["ratio"] |= {
        data: _ratio(found[f"learn2learn, {data}"], mine) for data in DATA if f"learn2learn, {data}" in found
    }
    return row


def flops(setup: Setup, device: torch.device) -> float:
    """Floating-point operations of the products and convolutions of one task, as the loop by hand takes them."""
    contender, batch = ByHand(setup, device), next(batches(setup, device))
    with FlopCounterMode(display=False) as counter:
        contender.task_loss(tasks_of(batch)[0]).backward()
    return float(counter.get_total_flops())


def peak(settings: Settings, size: int = 8192) -> float:
    """Operations per second of a large product of matrices, in the precision that is set."""
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=settings.device, dtype=dtype) for _ in range(2))
    seconds = alternate({"product": lambda: a @ b}, device=settings.device, repetitions=3)["product"]
    return 2 * size**3 / min(seconds)


def disagreement(contenders: list[Contender], batch: Any, settings: Settings) -> float:
    """The largest difference between anyone's losses and ours on one batch, relative to the mean loss."""
    ours, *others = [_losses(contender, batch, settings) for contender in contenders]
    return max(float((other - ours[: len(other)]).abs().max() / ours.mean()) for other in others)


def _losses(contender: Contender, batch: Any, settings: Settings) -> torch.Tensor:
    with settings.autocast():
        return contender.losses(batch)


def _over(contender: Contender, source: Iterator[Any], settings: Settings) -> Callable[[], object]:
    return lambda: _losses(contender, next(source), settings)


def _again(ready: list[Any]) -> Iterator[Any]:
    while True:
        yield from ready


def _ratio(theirs: list[float], ours: list[float]) -> dict[str, float]:
    return spread([a / b for a, b in zip(theirs, ours, strict=True)])


def tables(rows: Rows) -> list[Table]:
    """Tasks per second of each, and how many times as fast ours is."""
    table = Table(title="Meta-training throughput: tasks per second, and ratios (median, smallest … largest)")
    on_gpu = any("share of peak" in row for row in rows)
    names = ["setup", "mapped", "Lifelong", "loop by hand", "learn2learn", "/ hand", "/ learn2learn", *DATA]
    for name in [*names, "of peak"] if on_gpu else names:
        in_words = name in ("setup", "mapped")
        table.add_column(name, justify="left" if in_words else "right", no_wrap=not in_words, min_width=12 * in_words)
    for row in rows:
        speeds, ratio = row["tasks per second"], row["ratio"]
        medians = [speeds[name]["median"] for name in ("Lifelong", "loop by hand", "learn2learn")]
        own = [f"{median:,.{1 if median >= 1 else 2}f}" for median in medians]
        against = [words(ratio[name]) if name in ratio else "" for name in RATIOS]
        share = [f"{row['share of peak']:.1%}"] if on_gpu else []
        table.add_row(row["setup"], row["plan"], *own, *against, *share)
    return [table]


COLOURS = ("tab:gray", "tab:blue", "tab:green", "tab:orange")


def plot(rows: Rows) -> Figure:
    """How many times as fast as learn2learn and the loop by hand, a row each, on a logarithmic axis."""
    figure = Figure(figsize=(9, 0.32 * len(rows) + 1.4), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    for shift, (name, colour) in enumerate(zip(RATIOS, COLOURS, strict=True)):
        mine = [(place, row["ratio"][name]) for place, row in zip(places, rows, strict=True) if name in row["ratio"]]
        middle = [found["median"] for _, found in mine]
        ends = [[f["median"] - f["low"] for _, f in mine], [f["high"] - f["median"] for _, f in mine]]
        heights = [place + 0.2 * (shift - 1.5) for place, _ in mine]
        label = f"learn2learn, data {name}" if name in DATA else name.removeprefix("to ")
        axes.errorbar(middle, heights, xerr=ends, fmt="o", markersize=4, color=colour, label=f"against {label}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(list(places), [row["setup"] for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("times as many tasks per second")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=8, frameon=False)
    axes.grid(axis="x", alpha=0.3)
    return figure
