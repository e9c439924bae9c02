"""Measure the reliability of runs: ``python -m benchmarks.reliability [PART ...]``.

Each part writes its rows, with machine, date and command, to ``benchmarks/results/reliability/PART.jsonl`` as soon as
they are measured. ``--show`` prints the tables of the stored rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch

from benchmarks.performance.layout import load
from benchmarks.reliability import chains, inputs, long_stream, lost_process
from benchmarks.reliability.tables import Row, markdown

RESULTS = Path(__file__).parents[1] / "results" / "reliability"


def main(args: list[str] | None = None) -> None:
    """Measure parts, or show stored results."""
    arguments = _arguments(args)
    for part in arguments.parts or PARTS:
        path = arguments.results / f"{part}.jsonl"
        if not arguments.show:
            path.parent.mkdir(parents=True, exist_ok=True)
            about = {"torch": torch.__version__, "python": platform.python_version(), "date": date.today().isoformat()}
            about["command"] = " ".join(["python -m benchmarks.reliability", *sys.argv[1:]])
            with path.open("w", encoding="utf-8") as file:
                for row in PARTS[part](arguments):
                    file.write(json.dumps(row | {"machine": about}, ensure_ascii=False) + "\n")
                    file.flush()
                    print(row.get("name"), row.get("differences", ""), flush=True)
        print(markdown(part, load(path)), end="\n\n")


def _arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description="What a run survives.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--kills", type=int, default=7, help="of each chain")
    parser.add_argument("--seed", type=int, default=0, help="decides when runs are killed")
    parser.add_argument("--experiences", type=int, default=1000, help="of the long stream")
    parser.add_argument("--only", default="", help="chains with this in their name")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the rows")
    parser.add_argument("--show", action="store_true", help="print the tables of what was kept")
    arguments = parser.parse_args(args)
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}: give some of {', '.join(PARTS)}")
    return arguments


def _kills(arguments: argparse.Namespace) -> Iterator[Row]:
    for chain in chains.CHAINS:
        if arguments.only in chain.name:
            with tempfile.TemporaryDirectory() as folder:
                yield chains.measure(chain, Path(folder), arguments.kills, arguments.seed)


def _long_stream(arguments: argparse.Namespace) -> Iterator[Row]:
    for strategy in long_stream.STRATEGIES:
        for keep, n_experiences in ((2, arguments.experiences), (None, arguments.experiences // 5)):
            with tempfile.TemporaryDirectory() as folder:
                yield long_stream.measure(strategy, Path(folder) / "run", n_experiences=n_experiences, keep=keep)


def _lost_process(arguments: argparse.Namespace) -> Iterator[Row]:
    for number in range(5):
        with tempfile.TemporaryDirectory() as folder:
            yield lost_process.measure(Path(folder), rank=number % 2)


def _inputs(arguments: argparse.Namespace) -> Iterator[Row]:
    yield from inputs.measure()


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "kills": _kills,
    "inputs": _inputs,
    "long_stream": _long_stream,
    "lost_process": _lost_process,
}

if __name__ == "__main__":
    main()
