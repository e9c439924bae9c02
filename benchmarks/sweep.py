"""Runs every row of a table with every seed, several at once, and writes the table; call it again and it goes on.

``python benchmarks/sweep.py benchmarks/forgetting.yaml --jobs 2``

A sweep is a YAML file: ``seeds``, ``flags`` for all runs, and ``tables`` that each name a config and its rows by label,
with their flags. Each run is one ``python -m lifelong fit`` in a process of its own with one thread, in the folder
``<root>/<table>/<label>-<seed>``; a folder with a finished ``results.json`` is not run again, and an interrupted
run goes on from its last experience.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from scipy.stats import t

QUIET = "--trainer.logger false --checkpoint.every_n_steps 0 --checkpoint.keep_experiences false"
"""``last.ckpt`` is then written after every experience: where an interrupted run goes on."""


@dataclass(frozen=True)
class Run:
    """One training: which table and row it belongs to, its seed, its command line and its folder."""

    table: str
    label: str
    seed: int
    command: list[str]
    folder: Path

    @property
    def results(self) -> dict[str, Any] | None:
        """What the run found, None when it has not finished."""
        path = self.folder / "results.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found if found.get("finished") else None

    def start(self) -> str | None:
        """Run it; the last line that it printed where it failed, None where all went well."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log, last = Path(f"{self.folder}.log"), self.folder / "checkpoints" / "last.ckpt"
        if not last.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
        command = [*self.command, "--ckpt_path", str(last)] if last.is_file() else self.command
        with log.open("w", encoding="utf-8") as stream:
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            code = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment).returncode
        lines = log.read_text(encoding="utf-8").strip().splitlines()
        return f"{self.table}, {self.label}, seed {self.seed}: {(lines or ['no output'])[-1]} ({log})" if code else None


def plan(sweep: dict[str, Any], root: Path) -> Iterator[Run]:
    """All runs of a sweep, one whole seed after the other."""
    for seed in sweep["seeds"]:
        for table in sweep["tables"]:
            for label, flags in table["rows"].items():
                name = re.sub(r"[^\w.]+", "-", f"{label}-{seed}").strip("-")
                folder = root / table["name"] / name
                where = f"--seed_everything {seed} --run.root {folder.parent} --run.name {name}"
                parts = [f"--config {table['config']}", QUIET, sweep.get("flags", ""), flags, where]
                words = [word for part in parts for word in shlex.split(part)]
                command = [sys.executable, "-m", "lifelong", "fit", *words]
                yield Run(table["name"], label, seed, command, folder)


def cell(values: list[float], half_widths: list[float], scale: float = 100) -> str:
    """Mean over seeds with its 95 % t-interval; with one seed the run's own interval over tasks.

    Example:
        >>> cell([0.5, 0.6, 0.7], [0.0, 0.0, 0.0]), cell([0.5], [0.01])
        ('60.0 ± 24.8', '50.0 ± 1.0')
    """
    if len(values) == 1:
        return f"{scale * values[0]:.1f} ± {scale * half_widths[0]:.1f}"
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{scale * statistics.mean(values):.1f} ± {scale * half:.1f}"


METRICS = {"average": "average_score", "learning": "learning_score", "forgetting": "forgetting"}


def markdown(sweep: dict[str, Any], runs: list[Run]) -> str:
    """The tables of all runs that have finished, each with a column for the measures that a strategy reports."""
    text = []
    for table in sweep["tables"]:
        rows = {
            label: [r for run in runs if (run.table, run.label) == (table["name"], label) and (r := run.results)]
            for label in table["rows"]
        }
        done = {label: results for label, results in rows.items() if results}
        if not done:
            continue
        measures = sorted({m for results in done.values() for r in results for m in r["measures"]})
        heads = ["run", *METRICS, *(m.replace("_", " ") for m in measures), "last row", "memory", "minutes", "seeds"]
        lines = [f"## {table['name']}", "", f"`{table['config']}`; domains: {_first(done)['domains']}", ""]
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        lines += ["| " + " | ".join([label, *_row(results, measures)]) + " |" for label, results in done.items()]
        text.append("\n".join([*lines, ""]))
    return "\n".join(text)


def _first(done: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return next(iter(done.values()))[0]


def _row(results: list[dict[str, Any]], measures: list[str]) -> Iterator[str]:
    for name in METRICS.values():
        found = [r["metrics"][name] for r in results if r["metrics"].get(name)]
        yield cell([f["value"] for f in found], [f["half_width"] for f in found]) if found else "n/a"
    for measure in measures:
        rows = [r["measures"][measure][-1] for r in results if measure in r["measures"]]
        yield f"{100 * statistics.mean(statistics.mean(row) for row in rows):.1f}" if rows else ""
    last = zip(*(r["matrix"][-1] for r in results), strict=True)
    yield " / ".join(f"{100 * statistics.mean(column):.1f}" for column in last)
    yield f"{max(sum(r['strategy_bytes'].values()) for r in results) / 1e6:.2f} MB"
    yield f"{statistics.mean(r['wall_seconds'] for r in results) / 60:.1f}"
    yield str(len(results))


def main() -> int:
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sweep", type=Path, help="YAML file with seeds and tables")
    parser.add_argument("--root", type=Path, help="where the runs lie (default: runs/<name of the file>)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--table-only", action="store_true", help="run nothing, print what is there")
    arguments = parser.parse_args()
    sweep = yaml.safe_load(arguments.sweep.read_text(encoding="utf-8"))
    root = arguments.root or Path("runs") / arguments.sweep.stem
    runs = list(plan(sweep, root))
    failed = [] if arguments.table_only else _run_missing(runs, arguments.jobs, sweep, root)
    print(markdown(sweep, runs) or f"no finished run under {root}")
    for failure in failed:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failed else 0


def _run_missing(runs: list[Run], jobs: int, sweep: dict[str, Any], root: Path) -> list[str]:
    missing = [run for run in runs if run.results is None]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failed = []
    with Progress(*columns) as progress, ThreadPoolExecutor(jobs) as pool:
        bar = progress.add_task("runs", total=len(runs), completed=len(runs) - len(missing))
        for future in as_completed([pool.submit(run.start) for run in missing]):
            if failure := future.result():
                failed.append(failure)
            progress.advance(bar)
            root.mkdir(parents=True, exist_ok=True)
            (root / "tables.md").write_text(markdown(sweep, runs), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
