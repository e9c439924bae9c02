"""How long a person waits: for the page of help, for every option, and for the first step of ``fit``.

Each is a process of its own, by turns with one that imports torch, one that takes a step of one of torch's optimizers
(which import torch's compiler then) and one that imports Lightning and its command line alone: what is beyond these is
ours. Both the clock on the wall and CPU seconds, which a busy machine spoils less.
``fit`` learns the embedded default, without the evaluation of the untrained learner and without a logger. What is
installed counts: torchmetrics imports scipy and transformers where they are, so each row tells which extras were.
"""

from __future__ import annotations

import importlib.metadata
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from packaging.requirements import Requirement
from rich.table import Table

from benchmarks.performance.suite import Rows, Settings, spread, words

HERE = Path(__file__).parents[2]
LIFELONG = ("-m", "lifelong")
FIT = (
    *(*LIFELONG, "fit", "--trainer.logger=false", "--trainer.num_sanity_val_steps=0"),
    "--trainer.callbacks+=benchmarks.performance.first_step.FirstStep",
)
COMMANDS: dict[str, tuple[str, ...]] = {
    "import torch": ("-c", "import torch"),
    "a step of torch's Adam": ("-c", "import torch; torch.optim.Adam([torch.ones(1, requires_grad=True)]).step()"),
    "import lightning": ("-c", "import lightning.pytorch.cli"),
    "--help": (*LIFELONG, "--help"),
    "fit --help": (*LIFELONG, "fit", "--help"),
    "fit to its first step": FIT,
}
"""What Python is told, by name."""
AT_MOST = {"--help": 2.5, "fit to its first step": 6.0}
"""Seconds on the wall of two cores that do nothing else."""


def measure(settings: Settings, tell: Callable[[str], None]) -> Rows:
    """A row for each command, all in turn; the first time is thrown away, as it fills the caches of the disk."""
    extras = " ".join(installed_extras()) or "none"
    commands = {name: command for name, command in COMMANDS.items() if settings.wants(name)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(1 if settings.quick else 6):
        for name, command in commands.items():
            tell(f"{name}, {turn + 1}")
            seconds = started(command, settings)
            if turn > 0 or settings.quick:
                found[name].append(seconds)
    return [
        {
            "setup": f"{name}, {extras}",
            "name": name,
            "extras": extras,
            "wall": spread([wall for wall, _ in both]),
            "cpu": spread([cpu for _, cpu in both]),
        }
        for name, both in found.items()
    ]


def installed_extras(package: str = "lifelong") -> list[str]:
    """The extras of a package all of whose requirements are installed."""
    named = importlib.metadata.metadata(package).get_all("Provides-Extra") or []
    wanted = [Requirement(text) for text in importlib.metadata.requires(package) or []]
    of_extra = {extra: [r for r in wanted if r.marker and r.marker.evaluate({"extra": extra})] for extra in named}
    return [extra for extra, needed in of_extra.items() if all(_is_installed(r) for r in needed)]


def _is_installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name))
    except importlib.metadata.PackageNotFoundError:
        return False


def started(command: Sequence[str], settings: Settings) -> tuple[float, float]:
    """Seconds on the wall and CPU seconds of a process of Python.

    Args:
        command: what Python is told.
        settings: where ``fit`` trains.

    Raises:
        ValueError: when the process fails; its last words are in the message.

    Example:
        >>> wall, cpu = started(["-c", "pass"], Settings())
        >>> wall > 0
        True
    """
    device = "gpu" if settings.device.type == "cuda" else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        more = [f"--trainer.accelerator={device}", f"--run.root={folder}"] if tuple(command) == FIT else []
        environment = os.environ | {"PYTHONPATH": str(HERE)}
        before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command, *more], env=environment, capture_output=True, text=True, check=False
        )
        wall, after = time.perf_counter() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise ValueError(f"{' '.join(command)} failed with exit code {done.returncode}: {done.stderr[-2000:].strip()}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tables(rows: Rows) -> list[Table]:
    """Seconds of every command, beside what is asked for."""
    table = Table(title="seconds until it is there: median (smallest … largest)")
    for column in ("what", "extras installed", "wall", "CPU", "at most", ""):
        table.add_column(column, justify="right" if column in ("wall", "CPU", "at most") else "left")
    for row in rows:
        limit = AT_MOST.get(row["name"])
        met = "" if limit is None else "met" if row["wall"]["median"] <= limit else "missed"
        asked = "" if limit is None else f"{limit} s"
        table.add_row(row["name"], row.get("extras", ""), words(row["wall"]), words(row["cpu"]), asked, met)
    return [table]


def plot(rows: Rows) -> Figure | None:
    """A bar for each command with its range, and a mark where it should end."""
    if not rows:
        return None
    figure = Figure(figsize=(8, 1 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        wall = row["wall"]
        around = [[wall["median"] - wall["low"]], [wall["high"] - wall["median"]]]
        axes.barh(place, wall["median"], xerr=around, color="tab:blue", ecolor="tab:gray", capsize=2)
        if row["name"] in AT_MOST:
            axes.plot([AT_MOST[row["name"]]] * 2, [place - 0.4, place + 0.4], color="black")
    axes.set_yticks(
        range(len(rows)), [f"{row['name']}\nextras: {row.get('extras', '')}" for row in reversed(rows)], fontsize=7
    )
    axes.set_xlabel("seconds on the wall, median and range; black: at most")
    return figure
