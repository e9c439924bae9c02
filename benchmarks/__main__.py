"""Measures how fast and how large Lifelong is, beside its peers: ``python -m benchmarks [SUITE ...]``.

Each suite prints its tables as it ends, and keeps what it found, with machine, date and command, in
``benchmarks/results/performance/SUITE-DEVICE.json`` and a plot beside it; ``--show`` prints and draws what was kept.
Each row is kept as soon as it is there; ``--only`` measures some rows of a suite, and the others stay as they were.
"""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path
from typing import Any, cast, get_args

import torch
from rich.console import Console

from benchmarks.performance import suite
from benchmarks.performance.suite import Settings, Suite

RESULTS = Path(__file__).parent / "results" / "performance"
SUITES = ("throughput", "overhead", "startup", "memory", "scale")


def main() -> None:
    """Measure, or show what was measured."""
    summary = "Measures how fast and how large Lifelong is, beside its peers."
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=summary)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all where none is named")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu, cuda, cuda:1, …")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; torch's own choice where left out")
    parser.add_argument(
        "--precision", choices=get_args(suite.Precision), default="fp32", help="of products, for everyone"
    )
    parser.add_argument("--quick", action="store_true", help="measure less and keep nothing: does everything run?")
    parser.add_argument("--only", nargs="+", default=(), metavar="WORD", help="rows whose names contain one of these")
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        help="folder of what is kept; rows that are not measured again stay, until their file is removed",
    )
    parser.add_argument("--show", action="store_true", help="measure nothing, print what was kept")
    parser.add_argument("--markdown", action="store_true", help="print tables as a document has them")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.suites) - set(SUITES)):
        parser.error(f"there is no suite {', '.join(unknown)}, only {', '.join(SUITES)}")
    if arguments.device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"torch finds no GPU here: leave --device {arguments.device} out, or install a build with CUDA")
    if arguments.precision == "bf16" and arguments.suites != ["throughput"]:
        parser.error("only throughput is measured in bf16: name it alone")
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    settings = Settings(arguments.device, arguments.quick, arguments.only, arguments.precision)
    suite.set_precision(settings.precision)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # a Trainer greets, many times over
    console = Console()
    for name in arguments.suites or SUITES:
        is_plain = arguments.device.type == "cpu" and arguments.precision != "bf16"
        kind = "cpu" if is_plain else f"{arguments.device.type}-{arguments.precision}"
        path = arguments.results / f"{name}-{kind}.json"
        module = cast(Suite, importlib.import_module(f"benchmarks.performance.{name}"))
        if not arguments.show:
            with console.status(name) as status:
                rows: suite.Rows = []
                for row in module.measure(settings, lambda what, name=name, at=status: at.update(f"{name}: {what}")):
                    rows.append(row)
                    if not arguments.quick:  # what was measured stays, whatever comes after
                        suite.save(path, [row], arguments.device)
            if not rows:
                console.print(f"{name} has no row with {' or '.join(arguments.only)} in its name")
                continue
            is_kept = not arguments.quick
            rows = suite.load(path) if is_kept else rows
        elif path.is_file():
            rows, is_kept = suite.load(path), True
        else:
            console.print(f"{name} has not been measured on {arguments.device.type}: {path} is not there")
            continue
        for table in module.tables(rows):
            console.print(suite.markdown(table) + "\n" if arguments.markdown else table, soft_wrap=arguments.markdown)
        if is_kept and (figure := module.plot(rows)) is not None:
            figure.savefig(path.with_suffix(".png"), dpi=120)
            console.print(f"{path} and {path.with_suffix('.png').name}")
        if is_kept:
            console.print("; ".join(dict.fromkeys(about(row["machine"]) for row in rows)))


def about(machine: dict[str, Any]) -> str:
    """What a figure was measured on, in words.

    Example:
        >>> about({"command": "python", "device": "a CPU", "threads": 2, "torch": "2.13", "date": "today"})
        '`python`, a CPU, 2 threads, torch 2.13, today'
    """
    words = ("`{command}`", "{device}", "{threads} threads", "torch {torch}", "{date}")
    return ", ".join(words).format(**machine)


if __name__ == "__main__":
    main()
