"""Runs every row of a table with every seed, several at once, and writes the table; call it again and it goes on.

``python benchmarks/sweep.py benchmarks/forgetting.yaml --jobs 2``

A sweep is a YAML file: ``seeds``, ``flags`` for all runs (``{seed}`` in them is the run's seed), and ``tables``:

- ``name`` and ``config``;
- ``rows``: flags by label;
- ``columns``, by choice: flags by name. Every row is then run in every column and each cell is an average score, or
  what ``score`` names (``unseen_score``). A row of other flags in each column is a mapping from column to flags; it has
  no cell in a column that it leaves out;
- ``judged_by: closed loop``, by choice: what robots did (:class:`lifelong.control.ClosedLoop`) in place of the score;
- ``published``, by choice: what stands beside ours, by label (and column);
- ``spread``, by choice, here or for the whole sweep: what stands behind a mean over seeds, its 95 % t-interval
  (``interval``) or its standard error (``sem``).

Each run is one ``python -m lifelong fit`` in a process of its own with one thread, in the folder
``<root>/<table>/<label>[-<column>]-<seed>``; a folder with a finished ``results.json`` is not run again, and an
interrupted run goes on from its last experience. ``--record FILE`` keeps what was found in a file of its own
(:mod:`benchmarks.record`), so that a table begun on one machine is finished on another.
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
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from scipy.stats import t

from benchmarks.record import Record, identity

QUIET = "--trainer.logger false --checkpoint.every_n_steps 0 --checkpoint.keep_experiences 0"
"""``last.ckpt`` is then written after every experience: where an interrupted run goes on."""


@dataclass(frozen=True)
class Run:
    """One training: the cell of the table that it belongs to, seed, command line, folder, and what decides it."""

    table: str
    label: str
    column: str
    seed: int
    command: list[str]
    folder: Path
    identity: str
    record: Record | None = None

    @property
    def results(self) -> dict[str, Any] | None:
        """Return the run's results, where it was recorded or here; None when it has not finished."""
        recorded = None if self.record is None else self.record.find(self.identity)
        return recorded or self.found_here

    @property
    def found_here(self) -> dict[str, Any] | None:
        """Return the results in its folder, None when unfinished or made by another run of the same name."""
        path = self.folder / "results.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not found.get("finished") or self._is_of_another:
            return None
        if (drives := self.folder / "closed_loop.json").is_file():
            found["closed_loop"] = json.loads(drives.read_text(encoding="utf-8"))
        return found

    @property
    def _is_of_another(self) -> bool:
        return self.folder.is_dir() and self._noted.is_file() and self._noted.read_text("utf-8") != self.identity

    @property
    def _noted(self) -> Path:
        return Path(f"{self.folder}.run")

    def start(self) -> str | None:
        """Run it; the last line that it printed where it failed, None where all went well."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log, last = Path(f"{self.folder}.log"), self.folder / "checkpoints" / "last.ckpt"
        if self._is_of_another:
            return f"{self.folder} was made with other flags or another config: remove it, or give another --root"
        if not last.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
        self._noted.write_text(self.identity, encoding="utf-8")
        command = [*self.command, "--ckpt_path", str(last)] if last.is_file() else self.command
        with log.open("w", encoding="utf-8") as stream:
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            code = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment).returncode
        lines = log.read_text(encoding="utf-8").strip().splitlines()
        where = ", ".join(filter(None, (self.table, self.label, self.column)))
        return f"{where}, seed {self.seed}: {(lines or ['no output'])[-1]} ({log})" if code else None


def plan(sweep: dict[str, Any], root: Path, record: Record | None = None) -> Iterator[Run]:
    """List all runs of a sweep, one whole seed after the other."""
    for seed in sweep["seeds"]:
        for table in sweep["tables"]:
            for label, column, flags in cells(table):
                name = "-".join(filter(None, (label, column, str(seed))))
                name = re.sub(r"[^\w.+]+", "-", name).strip("-")
                folder = root / table["name"] / name
                parts = [sweep.get("flags", ""), flags, "--seed {seed}"]
                own = [word for part in parts for word in shlex.split(part.replace("{seed}", str(seed)))]
                config, where = ["--config", table["config"]], ["--run.root", str(folder.parent), "--run.name", name]
                command = [sys.executable, "-m", "lifelong", "fit", *config, *QUIET.split(), *own, *where]
                decided = identity([*config, *own], Path(table["config"]))
                yield Run(table["name"], label, column, seed, command, folder, decided, record)


def cells(table: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Row, column and flags of each cell; the one column of a table without columns is the empty string."""
    columns = table.get("columns", {"": ""})
    for label, row in table["rows"].items():
        flags = row if isinstance(row, dict) else dict.fromkeys(columns, row)
        yield from ((label, column, f"{columns[column]} {flags[column]}") for column in columns if column in flags)


SPREADS = {"interval": "95 % interval", "sem": "standard error"}


def check(sweep: dict[str, Any]) -> None:
    """Refuse names that stand for nothing, before anything is run."""
    for table in sweep["tables"]:
        rows, columns, published = table["rows"], table.get("columns", {}), table.get("published", {})
        named = [*rows.values(), *(published.values() if columns else ())]
        _check("column", {column for row in named if isinstance(row, dict) for column in row}, columns)
        _check("published row", published, rows)
        _check("score", {table.get("score", METRICS["average"])}, SCORES)
        _check("judge", {table.get("judged_by", "score")}, ("score", "closed loop"))
        _check("spread", {table.get("spread", sweep.get("spread", "interval"))}, SPREADS)


def _check(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"the sweep has no {kind} {', '.join(unknown)}, only {', '.join(known)}")


def cell(values: list[float], half_widths: list[float], spread: str = "interval") -> str:
    """Mean over seeds and its spread; with one seed the run's own interval over tasks, and no standard error.

    Example:
        >>> cell([0.5, 0.6, 0.7], [0.0, 0.0, 0.0]), cell([0.5], [0.01]), cell([0.5, 0.6, 0.7], [], "sem")
        ('60.0 ± 24.8', '50.0 ± 1.0', '60.00 ± 5.77')
    """
    mean, n, digits = 100 * statistics.mean(values), len(values), 2 if spread == "sem" else 1
    if n > 1:
        factor = 1.0 if spread == "sem" else t.ppf(0.975, n - 1)
        half = 100 * factor * statistics.stdev(values) / math.sqrt(n)
    else:
        half = math.nan if spread == "sem" else 100 * half_widths[0]
    return f"{mean:.{digits}f}" + ("" if math.isnan(half) else f" ± {half:.{digits}f}")


METRICS = {"average": "average_score", "learning": "learning_score", "forgetting": "forgetting"}
SCORES = (*METRICS.values(), "unseen_score")
"""What the cells of a table with columns may be."""
Found = dict[tuple[str, str], list[dict[str, Any]]]
"""What the finished runs of a table found, by row and column."""


def markdown(sweep: dict[str, Any], runs: list[Run]) -> str:
    """Format the tables of all runs that have finished."""
    text = []
    for table in sweep["tables"]:
        found: Found = {(label, column): [] for label, column, _ in cells(table)}
        for run in runs:
            if run.table == table["name"] and (results := run.results):
                by_robots = table.get("judged_by") == "closed loop"
                found[run.label, run.column].append(_in_closed_loop(results) if by_robots else results)
        if not any(found.values()):
            continue
        spread = table.get("spread", sweep.get("spread", "interval"))
        crossed = "columns" in table
        rows = list(_crossed(table, found, spread, len(sweep["seeds"])) if crossed else _plain(table, found, spread))
        about = f"`{table['config']}`; mean ± {SPREADS[spread]} over {'seeds' if len(sweep['seeds']) > 1 else 'tasks'}"
        if not crossed:
            about += f"; domains: {next(results[0] for results in found.values() if results)['domains']}"
        rows.insert(1, ["---"] * len(rows[0]))
        text += [f"## {table['name']}", "", about, "", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(text)


def _in_closed_loop(results: dict[str, Any]) -> dict[str, Any]:
    """What a run found, with success in closed loop where the score was, and the model's error beside it."""
    if (drives := results.get("closed_loop")) is None:
        raise ValueError(
            "a run was to be judged by its robots, but none drove: give its config lifelong.control.ClosedLoop"
        )
    measures = dict(results["measures"])
    if curve := drives.get("support_curve"):
        measures["squared error / variance"] = [[row[-1] for row in curve["mean"]]]
    if before := drives.get("without_adaptation", {}).get(drives["score"]):
        measures[f"{drives['score']} without adaptation"] = [before["mean"]]
    return results | {"matrix": drives["matrix"], "metrics": drives["metrics"], "measures": measures}


def _plain(table: dict[str, Any], found: Found, spread: str) -> Iterator[list[str]]:
    """A line for each row: all metrics, and a column for each measure that a strategy reports."""
    done = {label: results for (label, _), results in found.items() if results}
    measures = sorted({m for results in done.values() for r in results for m in r["measures"]})
    published = table.get("published", {})
    ours = [*METRICS, *(m.replace("_", " ") for m in measures), "last row", "memory", "minutes", "seeds"]
    yield ["run", *(["published"] if published else []), *ours]
    for label, results in done.items():
        yield [label, *([str(published.get(label, ""))] if published else []), *_row(results, measures, spread)]


def _row(results: list[dict[str, Any]], measures: list[str], spread: str) -> Iterator[str]:
    for name in METRICS.values():
        yield _metric(results, name, spread)
    for measure in measures:
        rows = [r["measures"][measure][-1] for r in results if measure in r["measures"]]
        yield f"{100 * statistics.mean(statistics.mean(row) for row in rows):.1f}" if rows else ""
    last = zip(*(r["matrix"][-1] for r in results), strict=True)
    yield " / ".join(f"{100 * statistics.mean(column):.1f}" for column in last)
    yield from _cost(results)
    yield str(len(results))


def _crossed(table: dict[str, Any], found: Found, spread: str, n_seeds: int) -> Iterator[list[str]]:
    """A cell for each row and column: the table's score, and the published one in brackets."""
    published = table.get("published", {})
    yield ["run", *table["columns"], "memory", "minutes", "runs"]
    for label in table["rows"]:
        of_row = {column: results for (row, column), results in found.items() if row == label}
        if not (every := [r for results in of_row.values() for r in results]):
            continue
        texts = []
        for column in table["columns"]:
            ours = "" if column in of_row else "–"
            if of_row.get(column):
                ours = _metric(of_row[column], table.get("score", METRICS["average"]), spread)
            theirs = published.get(label, {}).get(column)
            texts.append(ours if theirs is None else f"{ours} ({theirs})".strip())
        yield [label, *texts, *_cost(every), f"{len(every)} of {n_seeds * len(of_row)}"]


def _metric(results: list[dict[str, Any]], name: str, spread: str) -> str:
    found = [r["metrics"][name] for r in results if r["metrics"].get(name)]
    return cell([f["value"] for f in found], [f["half_width"] for f in found], spread) if found else "n/a"


def _cost(results: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{max(r.get('learner_bytes', 0) + sum(r['strategy_bytes'].values()) for r in results) / 1e6:.2f} MB"
    yield f"{statistics.mean(r['wall_seconds'] for r in results) / 60:.1f}"


def time_left(runs: list[Run], waiting: list[Run], jobs: int) -> str:
    """Estimate how long the waiting runs will take: each as long as finished ones of its cell, or of all cells."""
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for run in runs:
        if results := run.results:
            seconds.setdefault((run.table, run.label, run.column), []).append(results["wall_seconds"])
    if not seconds:
        return "time left unknown yet"
    overall = statistics.mean(second for row in seconds.values() for second in row)
    each = (statistics.mean(seconds.get((r.table, r.label, r.column), [overall])) for r in waiting)
    return f"about {timedelta(seconds=round(sum(each) / min(jobs, max(len(waiting), 1))))} left"


def main() -> int:
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sweep", type=Path, help="YAML file with seeds and tables")
    parser.add_argument("--root", type=Path, help="where the runs lie (default: runs/<name of the file>)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--record", type=Path, help="file that what was found is kept in, and not run again")
    parser.add_argument("--table-only", action="store_true", help="run nothing, print what is there")
    arguments = parser.parse_args()
    root = arguments.root or Path("runs") / arguments.sweep.stem
    try:
        sweep = yaml.safe_load(arguments.sweep.read_text(encoding="utf-8"))
        check(sweep)
        record = None if arguments.record is None else Record(arguments.record)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    runs = list(plan(sweep, root, record))
    for run in runs:
        if run.record and run.found_here:  # finished before there was a record
            run.record.add(run.identity, run.found_here)
    failed = [] if arguments.table_only else _run_missing(runs, arguments.jobs, sweep, root)
    print(markdown(sweep, runs) or f"no finished run under {root}")
    for failure in failed:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failed else 0


def _run_missing(runs: list[Run], jobs: int, sweep: dict[str, Any], root: Path) -> list[str]:
    waiting, failed = [run for run in runs if run.results is None], []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}")) as progress, ThreadPoolExecutor(jobs) as pool:
        left = time_left(runs, waiting, jobs)
        bar = progress.add_task("runs", total=len(runs), completed=len(runs) - len(waiting), left=left)
        started = {pool.submit(run.start): run for run in waiting}
        try:
            for future in as_completed(started):
                run = started[future]
                if failure := future.result():
                    failed.append(failure)
                elif run.record and run.found_here:
                    run.record.add(run.identity, run.found_here)
                waiting.remove(run)
                progress.update(bar, advance=1, left=time_left(runs, waiting, jobs))
                root.mkdir(parents=True, exist_ok=True)
                (root / "tables.md").write_text(markdown(sweep, runs), encoding="utf-8")
        finally:
            pool.shutdown(cancel_futures=True)  # stopped by a person: what waits is not begun
    return failed


if __name__ == "__main__":
    sys.exit(main())
