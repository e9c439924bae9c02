"""Start-up times: of the help page, of ``--help.all``, and of the first step of ``fit``.

Each command is a separate process, and alternates with a bare Lightning script that imports the same packages and takes
one step; ``fit`` may take one second more. ``fit`` learns the embedded default without a logger and without evaluating
the untrained learner. torchmetrics imports scipy and transformers if they are installed, so rows name the extras.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from packaging.requirements import Requirement

from benchmarks.performance.suite import ROOT, Row, Say, Settings, spread

BARE, FIRST_STEP = "bare Lightning script to its first step", "fit to its first step"
LIFELONG = ("-m", "lifelong")
COMMANDS: dict[str, tuple[str, ...]] = {
    "import torch": ("-c", "import torch"),
    BARE: ("-m", "benchmarks.performance.bare_lightning"),
    "--help": (*LIFELONG, "--help"),
    "fit --help": (*LIFELONG, "fit", "--help"),
    FIRST_STEP: (
        *(*LIFELONG, "fit", "--trainer.logger=false", "--trainer.num_sanity_val_steps=0", "--trainer.accelerator=cpu"),
        "--trainer.callbacks+=benchmarks.performance.bare_lightning.FirstStep",
    ),
}
"""Arguments of Python by name of the command."""


def measure(settings: Settings, say: Say) -> list[Row]:
    """Measure all commands alternately; the first round fills the disk caches and is discarded."""
    extras = " ".join(installed_extras()) or "none"
    commands = {name: command for name, command in COMMANDS.items() if settings.wants(name)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(1 if settings.quick else 6):
        for name, command in commands.items():
            say(f"{name}, {turn + 1}")
            seconds = run_python(command)
            if turn > 0 or settings.quick:
                times[name].append(seconds)
    rows = []
    for name, both in times.items():
        wall, cpu = zip(*both, strict=True)
        row: Row = {"setup": f"{name}, {extras}", "name": name, "extras": extras, "wall": spread(wall)}
        row["cpu"] = spread(cpu)
        if name == FIRST_STEP and BARE in times:
            row["beyond"] = spread([ours - bare for (ours, _), (bare, _) in zip(both, times[BARE], strict=True)])
        rows.append(row)
    return rows


def installed_extras(package: str = "lifelong") -> list[str]:
    """Return the extras of a package whose requirements are all installed."""
    extras = importlib.metadata.metadata(package).get_all("Provides-Extra") or []
    requirements = [Requirement(text) for text in importlib.metadata.requires(package) or []]
    of_extra = {
        extra: [r for r in requirements if r.marker and r.marker.evaluate({"extra": extra})] for extra in extras
    }
    return [extra for extra, needed in of_extra.items() if all(_is_installed(r) for r in needed)]


def _is_installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name))
    except importlib.metadata.PackageNotFoundError:
        return False


def run_python(arguments: Sequence[str], root: os.PathLike[str] | str = ROOT) -> tuple[float, float]:
    """Run Python with the code of a folder; return wall-clock and CPU time in seconds.

    Raises:
        ValueError: when the process fails; the message contains the end of its output.

    Example:
        >>> wall, cpu = run_python(["-c", "pass"])
        >>> wall > 0
        True
    """
    with tempfile.TemporaryDirectory() as folder:
        more = [f"--run.root={folder}"] if "fit" in arguments and "--help" not in arguments else []
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys([str(root), str(ROOT)]))}
        before, since = os.times(), time.perf_counter()
        command = [sys.executable, *arguments, *more]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
        wall, after = time.perf_counter() - since, os.times()
    if done.returncode:
        ending = done.stderr[-2000:].strip()
        raise ValueError(f"{' '.join(arguments)} failed with exit code {done.returncode}: {ending}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu
