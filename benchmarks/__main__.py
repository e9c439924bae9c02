"""Measure Lifelong's speed and memory, compared with other libraries: ``python -m benchmarks [SUITE ...]``.

Each suite writes its rows, with machine, date and command, to ``benchmarks/results/performance/SUITE-DEVICE.jsonl`` as
soon as they are measured, and prints its tables. ``--show`` prints the stored rows. With ``--only``, the other rows
remain unchanged.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from pathlib import Path
from typing import cast, get_args

import torch
from rich.console import Console

from benchmarks.performance import suite
from benchmarks.performance.layout import load
from benchmarks.performance.suite import Row, Settings, Suite
from benchmarks.performance.tables import TABLES

RESULTS = Path(__file__).parent / "results" / "performance"
SUITES = ("throughput", "overhead", "startup", "memory", "scale", "ablations", "features", "answers")


def main(args: list[str] | None = None) -> None:
    """Measure suites, or show stored results."""
    arguments = _arguments(args)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    settings = Settings(arguments.device, arguments.quick, arguments.only, arguments.precision)
    suite.set_precision(settings.precision)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # every Trainer prints several lines
    console = Console()
    for name in arguments.suites or SUITES:
        is_plain = settings.device.type == "cpu" and settings.precision != "bf16"
        kind = "cpu" if is_plain else f"{settings.device.type}-{settings.precision}"
        path = arguments.results / f"{name}-{kind}.jsonl"
        module = cast(Suite, importlib.import_module(f"benchmarks.performance.{name}"))
        if arguments.show and not path.is_file():
            print(f"{name} has not been measured on {settings.device.type}: there is no {path}")
            continue
        rows = load(path) if arguments.show else _measured(name, module, settings, path, console)
        if not rows:
            print(f"{name} has no row with {' or '.join(arguments.only)} in its name")
        for table in TABLES[name]:
            if text := table.markdown(rows):
                print(text, end="\n\n")
        print("; ".join(dict.fromkeys(_about(row["machine"]) for row in rows if "machine" in row)))


def _arguments(args: list[str] | None) -> argparse.Namespace:
    summary = "Measures how fast and how large Lifelong is, beside its peers."
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=summary)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all where none is named")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu, cuda, cuda:1, …")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; torch's own choice where left out")
    parser.add_argument("--precision", choices=get_args(suite.Precision), default="fp32", help="for all contenders")
    parser.add_argument("--quick", action="store_true", help="measure less and keep nothing: does everything run?")
    parser.add_argument("--only", nargs="+", default=(), metavar="WORD", help="rows whose names contain one of these")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--show", action="store_true", help="measure nothing, print what was kept")
    arguments = parser.parse_args(args)
    if unknown := sorted(set(arguments.suites) - set(SUITES)):
        parser.error(f"there is no suite {', '.join(unknown)}, only {', '.join(SUITES)}")
    if arguments.device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"torch finds no GPU here: leave --device {arguments.device} out, or install a build with CUDA")
    if arguments.precision == "bf16" and arguments.suites != ["throughput"]:
        parser.error("only throughput is measured in bf16: name it alone")
    return arguments


def _measured(name: str, module: Suite, settings: Settings, path: Path, console: Console) -> list[Row]:
    """Measure a suite and store each row at once; return all rows of its file, or the unstored quick ones."""
    rows: list[Row] = []
    with console.status(name) as status:
        for row in module.measure(settings, lambda what: status.update(f"{name}: {what}")):
            rows.append(row)
            if not settings.quick:
                suite.save(path, [row], settings.device)
    return rows if settings.quick or not rows else load(path)


def _about(machine: Row) -> str:
    """Describe the machine of a measurement.

    Example:
        >>> _about({"command": "python", "device": "a CPU", "threads": 2, "torch": "2.13", "date": "today"})
        '`python`, a CPU, 2 threads, torch 2.13, today'
    """
    return "`{command}`, {device}, {threads} threads, torch {torch}, {date}".format(**machine)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"error: {error}")
