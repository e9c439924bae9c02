"""The tables of results and of comparisons as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.sheets import Sheet
from lifelong.evaluation.tables import GAP, MAX_ROWS, MEANINGS, ends, places, unit

RIGHT = ' style="text-align: right"'


def matrix_html(
    matrix: Array,
    half_widths: Array,
    row_names: Sequence[str],
    column_names: Sequence[str],
    averages: Sequence[Estimate],
    *,
    percent: bool,
    title: str,
) -> str:
    """Make an HTML table of the accuracy matrix: a row per experience, a column per domain, and their average.

    If there are more than 40 rows or columns, the first and the last 20 are shown.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` half widths of their 95 % intervals.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        averages: ``T`` averages over the domains learnt so far.
        percent: show fractions as percent.
        title: title above the table.

    Example:
        >>> import numpy as np
        >>> text = matrix_html(
        ...     np.eye(1), np.eye(1) / 10, ["a < b"], ["a < b"], [Estimate(1.0, 0.1)], percent=True, title="test"
        ... )
        >>> "100.0 ± 10.0" in text, "a &lt; b" in text
        (True, True)
    """
    factor, shown = unit(percent), places(matrix, percent)
    rows, columns = (ends(size, MAX_ROWS // 2) for size in matrix.shape)
    lines = []
    for i in rows:
        estimates = [Estimate(float(matrix[i, j]), float(half_widths[i, j])) for j in columns]
        cells = [e.scaled(factor).text(shown) for e in (*estimates, averages[i])]
        lines.append(_with_gap([row_names[i], *cells[:-1]], matrix.shape[1]) + cells[-1:])
    table = [_row(line) for line in _with_gap(lines, len(matrix), head=0, gap=[GAP] * len(lines[0]))]
    return _table(
        title, [*_with_gap(["after", *(column_names[j] for j in columns)], matrix.shape[1]), "average"], table
    )


def metrics_html(metrics: Mapping[str, Estimate], *, percent: bool, score_name: str) -> str:
    """Make an HTML table of the metrics; a metric that is not available shows the reason.

    Args:
        metrics: the metrics by name.
        percent: show fractions as percent.
        score_name: name of the score, such as accuracy.

    Example:
        >>> missing = Estimate(float("nan"), float("nan"), "needs two experiences")
        >>> "needs two experiences" in metrics_html({"forgetting": missing}, percent=True, score_name="accuracy")
        True
    """
    shown = places([e.value * unit(percent) for e in metrics.values() if not e.reason], percent)
    rows = []
    for key, estimate in metrics.items():
        name, meaning = (text.format(score=score_name) for text in MEANINGS[key])
        rows.append(_row([name, estimate.scaled(unit(percent)).text(shown)], left=estimate.reason or meaning))
    return _table("", ["metric", f"{'%' if percent else 'value'} ± 95 % CI", "meaning"], rows)


def sheet_html(sheet: Sheet, lines: Sequence[str]) -> str:
    """Make an HTML table of a sheet, with sentences below it.

    Args:
        sheet: the headers and cells.
        lines: the sentences.

    Example:
        >>> "<li>in %</li>" in sheet_html(Sheet(("method", "score"), (("EWC", "75.0"),)), ["in %"])
        True
    """
    sentences = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"{_table('', sheet.heads, [_row(row) for row in sheet.rows])}<ul>{sentences}</ul>"


def _with_gap(items: list[Any], size: int, *, head: int = 1, gap: Any = GAP) -> list[Any]:
    """Insert a gap into the middle of items, after a head, if some were left out."""
    middle = head + (len(items) - head) // 2
    return items if len(items) - head == size else [*items[:middle], gap, *items[middle:]]


def _row(cells: Sequence[str], left: str | None = None) -> str:
    """Make a row: a heading, right-aligned cells, and optionally a left-aligned last cell."""
    head, *numbers = map(escape, cells)
    last = "" if left is None else f'<td style="text-align: left">{escape(left)}</td>'
    return f"<tr><th>{head}</th>{''.join(f'<td{RIGHT}>{n}</td>' for n in numbers)}{last}</tr>"


def _table(title: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
