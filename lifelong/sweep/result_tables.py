"""The tables of a sweep as numbers: mean and spread over the seeds that have finished."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import t_quantile
from lifelong.sweep.journal import Journal
from lifelong.sweep.table import METRICS, PlannedRun, cells, check, check_configs, plan
from lifelong.utilities.plain_yaml import read_yaml


@dataclass(frozen=True)
class ResultRow:
    """Hold the results of one row of a table, in one of its columns where it has some.

    Args:
        label: of the row.
        column: its name; empty in a table without columns.
        seeds: that have finished.
        results: ``results.json`` of each of them, in the order of the seeds.
        n_seeds: that the sweep runs, finished or not; 0 where the file quotes a published value alone.
        published: what the file quotes beside them; empty where it quotes nothing.
        spread: ``interval`` or ``sem``: what half widths are.
    """

    label: str
    column: str
    seeds: tuple[int, ...]
    results: tuple[dict[str, Any], ...]
    n_seeds: int
    published: str
    spread: str

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """Return each metric by name as a fraction, mean over seeds ± half width; NaN with a reason where undefined.

        The half width is that of the 95 % interval over seeds (Student's t), or the standard error where ``spread`` is
        ``sem``. With one seed it is that of the run's own interval over tasks, and NaN for ``sem``.
        """
        return {name: self._metric(name) for name in dict.fromkeys(n for r in self.results for n in r["metrics"])}

    def _metric(self, name: str) -> Estimate:
        known = [results["metrics"][name] for results in self.results if results["metrics"].get(name)]
        if not known:
            reasons = (results.get("reasons", {}).get(name) for results in self.results)
            return Estimate(math.nan, math.nan, next(filter(None, reasons), "it was not measured"))
        return over_seeds([k["value"] for k in known], [k["half_width"] for k in known], self.spread)


@dataclass(frozen=True)
class ResultTable:
    """Hold one table of a sweep.

    Args:
        name: of the table.
        config: of its runs.
        columns: their names; empty in a table without.
        score: the metric that the cells of a table with columns hold.
        spread: ``interval`` or ``sem``.
        rows: one for each row and column that the file runs or quotes, also where no run has finished.
    """

    name: str
    config: str
    columns: tuple[str, ...]
    score: str
    spread: str
    rows: tuple[ResultRow, ...]


def read_tables(file: str | Path, journal: str | Path) -> list[ResultTable]:
    """Read the tables of a sweep from its file and a journal, without training and without torch.

    Configs are looked for as ``sweep`` looks for them, relative paths from the working directory: a run is known by its
    options and its config. :func:`lifelong.sweep.tables.table_markdown` writes a table as ``sweep`` does.

    Args:
        file: YAML file with tables, such as ``benchmarks/split_mnist.yaml``.
        journal: of ``sweep --journal``, such as ``benchmarks/results/split_mnist.jsonl``.

    Raises:
        ValueError: when the file has no tables, the journal is not there, or it holds no run of the file.

    Example:
        >>> for table in read_tables("benchmarks/split_mnist.yaml", "benchmarks/results/split_mnist.jsonl"):
        ...     row = table.rows[0]
        ...     row.label, row.column, row.seeds, row.metrics["average_score"].scaled(100).text(2), row.published
        ('none', 'task', (0, 1, 2, 3, 4), '91.07 ± 2.17', '84.32 ± .99')
    """
    sweep = read_yaml(Path(file))
    if not isinstance(sweep, dict) or "tables" not in sweep:
        raise ValueError(f"{file} has no tables: give the file of a sweep that has")
    check(sweep)
    check_configs(sweep)
    if not Path(journal).is_file():
        raise ValueError(f"there is no journal {journal}: python -m lifelong sweep {file} --journal {journal} makes it")
    kept = Journal(Path(journal))
    recorded = {run: results for run in plan(sweep, Path()) if (results := kept.find(run.training.identity))}
    if not recorded:
        raise ValueError(
            f"the journal {journal} holds no run of {file}, as a run is known by its options and its config: "
            "give the journal of these runs"
        )
    return result_tables(sweep, recorded)


def result_tables(sweep: Mapping[str, Any], finished: Mapping[PlannedRun, dict[str, Any]]) -> list[ResultTable]:
    """Sort finished runs into the tables of a sweep.

    Args:
        sweep: what its file says.
        finished: results by run.

    Raises:
        ValueError: when a run was to be judged by its robots, and none drove.
    """
    by_cell: dict[tuple[str, str, str], list[tuple[int, dict[str, Any]]]] = {}
    for run, results in finished.items():
        by_cell.setdefault((run.table, run.label, run.column), []).append((run.seed, results))
    return [_result_table(sweep, table, by_cell) for table in sweep["tables"]]


def _result_table(
    sweep: Mapping[str, Any],
    table: Mapping[str, Any],
    by_cell: Mapping[tuple[str, str, str], list[tuple[int, dict[str, Any]]]],
) -> ResultTable:
    spread = table.get("spread", sweep.get("spread", "interval"))
    by_robots = table.get("judged_by") == "closed loop"
    planned = {(label, column) for label, column, _ in cells(table)}
    quoted = _quoted(table)
    rows = []
    for label in table["rows"]:
        for column in table.get("columns", ("",)):
            if (label, column) in planned or (label, column) in quoted:
                finished = by_cell.get((table["name"], label, column), [])
                results = tuple(_in_closed_loop(results) if by_robots else results for _, results in finished)
                n_seeds = len(sweep["seeds"]) if (label, column) in planned else 0
                seeds = tuple(seed for seed, _ in finished)
                rows.append(ResultRow(label, column, seeds, results, n_seeds, quoted.get((label, column), ""), spread))
    columns, score = tuple(table.get("columns", ())), table.get("score", METRICS["average"])
    return ResultTable(table["name"], table["config"], columns, score, spread, tuple(rows))


def _quoted(table: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the published values by row and column, as text."""
    published = table.get("published", {})
    if "columns" not in table:
        return {(label, ""): str(value) for label, value in published.items()}
    return {(label, column): str(value) for label, row in published.items() for column, value in row.items()}


def over_seeds(values: Sequence[Any], half_widths: Sequence[Any], spread: str = "interval") -> Estimate:
    """Return the mean over seeds and its spread; with one seed the run's own interval over tasks, no standard error.

    Where a value is no number there is neither.

    Example:
        >>> print(over_seeds([0.5, 0.6, 0.7], [0.0, 0.0, 0.0]), "or", over_seeds([0.5, 0.6, 0.7], [], "sem"))
        0.600 ± 0.248 or 0.600 ± 0.058
    """
    average, n = mean(values), len(values)
    if not math.isfinite(average):
        return Estimate(math.nan, math.nan, "a run diverged")
    if n > 1:
        factor = 1.0 if spread == "sem" else float(t_quantile(n - 1))
        return Estimate(average, factor * statistics.stdev(values) / math.sqrt(n))
    return Estimate(average, math.nan if spread == "sem" else mean(half_widths[:1]))


def mean(values: Sequence[Any]) -> float:
    """Return the mean of numbers as ``results.json`` has them: NaN where one is null, as after a divergence.

    Example:
        >>> mean([1, 2.0]), mean([1.0, None])
        (1.5, nan)
    """
    return float(np.mean(np.array(values, dtype=float)))


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
    scores = {"matrix": drives["matrix"], "half_width": drives["matrix_half_width"], "metrics": drives["metrics"]}
    return results | scores | {"measures": measures}
