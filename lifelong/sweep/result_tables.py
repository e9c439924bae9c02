"""The tables of a sweep as numbers: mean and spread over the finished seeds."""

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
    """Store the results of one row of a table, or of one cell in a table with columns.

    Args:
        label: label of the row.
        column: name of the column; empty in a table without columns.
        seeds: the finished seeds.
        results: content of ``results.json`` for each finished seed, in the same order.
        n_seeds: number of planned seeds; 0 if the file only quotes a published value.
        published: the published value that the file quotes, as text; empty if there is none.
        spread: meaning of the half widths: ``interval`` or ``sem``.
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
        """Return the metrics by name as fractions, mean over seeds ± half width; NaN with a reason if undefined.

        The half width is that of the 95 % interval over seeds (Student's t), or the standard error if ``spread`` is
        ``sem``. With one seed, it is the half width of the run's own interval over tasks, and NaN for ``sem``.
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
    """Store one table of a sweep.

    Args:
        name: name of the table.
        config: config of its runs.
        columns: names of the columns; empty in a table without columns.
        score: metric in the cells of a table with columns.
        spread: meaning of the half widths: ``interval`` or ``sem``.
        rows: one entry for each row and column that the file runs or quotes, also if no run has finished.
    """

    name: str
    config: str
    columns: tuple[str, ...]
    score: str
    spread: str
    rows: tuple[ResultRow, ...]


def read_tables(file: str | Path, journal: str | Path) -> list[ResultTable]:
    """Read the tables of a sweep from its file and a journal, without training and without torch.

    Configs are searched as ``sweep`` does, with relative paths from the working directory, because a run is identified
    by its options and its config. :func:`lifelong.sweep.tables.table_markdown` formats a table as ``sweep`` does.

    Args:
        file: YAML file with tables, such as ``benchmarks/split_mnist.yaml``.
        journal: file written by ``sweep --journal``, such as ``benchmarks/results/split_mnist.jsonl``.

    Raises:
        ValueError: when the file has no tables, the journal does not exist, or it contains no run of the file.

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
    """Arrange finished runs in the tables of a sweep.

    Args:
        sweep: content of its file.
        finished: results by run.

    Raises:
        ValueError: when a table scores closed-loop success, and a run has no closed-loop results.
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
    """Return the mean over seeds and its spread; with one seed, the run's own interval over tasks, or NaN for ``sem``.

    Both are NaN if a value is not a number.

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
    """Return the mean of numbers from ``results.json``: NaN if one is null, as after a divergence.

    Example:
        >>> mean([1, 2.0]), mean([1.0, None])
        (1.5, nan)
    """
    return float(np.mean(np.array(values, dtype=float)))


def _in_closed_loop(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results of a run with closed-loop success as the score, and the model's error as a measure."""
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
