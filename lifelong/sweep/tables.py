"""The tables of a sweep, as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifelong.evaluation.estimate import Estimate
from lifelong.sweep.result_tables import ResultRow, ResultTable, mean, result_tables
from lifelong.sweep.table import METRICS, SPREADS, Ended, PlannedRun
from lifelong.utilities.markdown import markdown_table


def cell(estimate: Estimate, spread: str = "interval") -> str:
    """Format a mean over seeds and its spread in percent; without a spread, only the mean.

    Example:
        >>> from lifelong.sweep.result_tables import over_seeds
        >>> cell(over_seeds([0.5, 0.6, 0.7], [0.0, 0.0, 0.0])), cell(Estimate(0.6, 0.05774), "sem")
        ('60.0 ± 24.8', '60.00 ± 5.77')
    """
    digits = 2 if spread == "sem" else 1
    if not math.isfinite(estimate.value):
        return "n/a"
    half = "" if math.isnan(estimate.half_width) else f" ± {100 * estimate.half_width:.{digits}f}"
    return f"{100 * estimate.value:.{digits}f}{half}"


def markdown(sweep: Mapping[str, Any], so_far: Ended) -> str:
    """Format the tables of all finished runs, with the reasons of failed ones below.

    Args:
        sweep: content of its file.
        so_far: outcomes of its runs.
    """
    parts = []
    for table in result_tables(sweep, so_far.finished):
        failed = failed_list({run: why for run, why in so_far.failed.items() if run.table == table.name})
        text = table_markdown(table) or (f"## {table.name}\n" if failed else "")
        parts += [part for part in (text, failed) if part]
    return "\n".join(parts)


def failed_list(failed: Mapping[PlannedRun, str]) -> str:
    """List failed runs, one line per reason; empty if there are none.

    Args:
        failed: reasons by run.
    """
    seeds: dict[tuple[str, str], list[str]] = {}
    for run, reason in failed.items():
        seeds.setdefault((", ".join(filter(None, (run.label, run.column))), reason), []).append(str(run.seed))
    lines = [
        f"- {where}, seed{'s' if len(of) > 1 else ''} {', '.join(of)}: {reason}"
        for (where, reason), of in seeds.items()
    ]
    return "\n".join(["failed:", "", *lines, ""]) if lines else ""


def table_markdown(table: ResultTable) -> str:
    """Format one table with its heading; empty if no run has finished.

    Args:
        table: table from :func:`lifelong.sweep.result_tables.read_tables`.

    Example:
        >>> from lifelong.sweep.result_tables import read_tables
        >>> (table,) = read_tables("benchmarks/split_mnist.yaml", "benchmarks/results/split_mnist.jsonl")
        >>> print(table_markdown(table).splitlines()[0])
        ## split_mnist
    """
    if not any(row.results for row in table.rows):
        return ""
    lines = list(_crossed(table) if table.columns else _plain(table))
    seeds_or_tasks = "seeds" if any(row.n_seeds > 1 for row in table.rows) else "tasks"
    about = f"`{table.config}`; mean ± {SPREADS[table.spread]} over {seeds_or_tasks}"
    if not table.columns:
        about += f"; domains: {next(row.results[0] for row in table.rows if row.results)['domains']}"
    return "\n".join([f"## {table.name}", "", about, "", markdown_table(lines[0], lines[1:]), ""])


def _plain(table: ResultTable) -> Iterator[list[str]]:
    """Yield a line for each row: all metrics, and a column for each measure that a strategy reports."""
    done = [row for row in table.rows if row.results]
    measures = sorted({m for row in done for results in row.results for m in results["measures"]})
    has_published = any(row.published for row in table.rows)
    ours = [*METRICS, *(m.replace("_", " ") for m in measures), "last row", "memory", "minutes", "seeds"]
    yield ["run", *(["published"] if has_published else []), *ours]
    for row in done:
        yield [row.label, *([row.published] if has_published else []), *_row(row, measures)]


def _row(row: ResultRow, measures: list[str]) -> Iterator[str]:
    for name in METRICS.values():
        yield _metric(row, name)
    for measure in measures:
        last = [results["measures"][measure][-1] for results in row.results if measure in results["measures"]]
        yield f"{100 * mean([mean(values) for values in last]):.1f}" if last else ""
    yield " / ".join(
        f"{100 * mean(column):.1f}" for column in zip(*(r["matrix"][-1] for r in row.results), strict=True)
    )
    yield from _cost(row.results)
    yield str(len(row.results))


def _crossed(table: ResultTable) -> Iterator[list[str]]:
    """Yield a line for each row with a cell per column: the table's score, and the published one in brackets."""
    yield ["run", *table.columns, "memory", "minutes", "runs"]
    for label in dict.fromkeys(row.label for row in table.rows):
        by_column = {row.column: row for row in table.rows if row.label == label}
        if not (every := [results for row in by_column.values() for results in row.results]):
            continue
        texts = [_crossed_cell(by_column.get(column), table.score) for column in table.columns]
        n_planned = sum(row.n_seeds for row in by_column.values())
        yield [label, *texts, *_cost(every), f"{len(every)} of {n_planned}"]


def _crossed_cell(row: ResultRow | None, score: str) -> str:
    if row is None:
        return "–"
    ours = "–" if row.n_seeds == 0 else _metric(row, score) if row.results else ""
    return f"{ours} ({row.published})".strip() if row.published else ours


def _metric(row: ResultRow, name: str) -> str:
    return cell(row.metrics[name], row.spread) if name in row.metrics else "n/a"


def _cost(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    # Always in megabytes: a column in one unit can be compared.
    yield f"{max(r.get('learner_bytes', 0) + sum(r['strategy_bytes'].values()) for r in results) / 1e6:.2f} MB"
    yield f"{statistics.mean(r['wall_seconds'] for r in results) / 60:.1f}"
