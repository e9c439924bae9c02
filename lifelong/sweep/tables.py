"""The tables of a sweep, as Markdown: mean and spread over the seeds that have finished."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lifelong.evaluation.intervals import t_quantile
from lifelong.sweep.table import METRICS, SPREADS, PlannedRun, cells
from lifelong.utilities.markdown import markdown_table

Found = dict[tuple[str, str], list[dict[str, Any]]]
"""Results of the finished runs of a table, by row and column."""


def mean(values: Sequence[Any]) -> float:
    """Return the mean of numbers as ``results.json`` has them: NaN where one is null, as after a divergence.

    Example:
        >>> mean([1, 2.0]), mean([1.0, None])
        (1.5, nan)
    """
    return float(np.mean(np.array(values, dtype=float)))


def cell(values: Sequence[Any], half_widths: Sequence[Any], spread: str = "interval") -> str:
    """Mean over seeds and its spread; with one seed the run's own interval over tasks, and no standard error.

    Where a value is no number there is neither.

    Example:
        >>> cell([0.5, 0.6, 0.7], [0.0, 0.0, 0.0]), cell([0.5], [0.01]), cell([0.5, 0.6, 0.7], [], "sem")
        ('60.0 ± 24.8', '50.0 ± 1.0', '60.00 ± 5.77')
    """
    average, n, digits = 100 * mean(values), len(values), 2 if spread == "sem" else 1
    if not math.isfinite(average):
        return "n/a"
    if n > 1:
        factor = 1.0 if spread == "sem" else float(t_quantile(n - 1))
        half = 100 * factor * statistics.stdev(values) / math.sqrt(n)
    else:
        half = math.nan if spread == "sem" else 100 * mean(half_widths[:1])
    return f"{average:.{digits}f}" + ("" if math.isnan(half) else f" ± {half:.{digits}f}")


def markdown(sweep: Mapping[str, Any], runs: Sequence[PlannedRun]) -> str:
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
        text += [f"## {table['name']}", "", about, "", markdown_table(rows[0], rows[1:]), ""]
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


def _plain(table: Mapping[str, Any], found: Found, spread: str) -> Iterator[list[str]]:
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
        yield f"{100 * mean([mean(row) for row in rows]):.1f}" if rows else ""
    last = zip(*(r["matrix"][-1] for r in results), strict=True)
    yield " / ".join(f"{100 * mean(column):.1f}" for column in last)
    yield from _cost(results)
    yield str(len(results))


def _crossed(table: Mapping[str, Any], found: Found, spread: str, n_seeds: int) -> Iterator[list[str]]:
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
