"""The page of a comparison: its table, the matrices of all methods, their costs, and the certainty of differences."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from lifelong.evaluation.comparison import Comparison
from lifelong.evaluation.comparison_sheet import captions, sheet
from lifelong.evaluation.sheets import sentence
from lifelong.evaluation.tables import unit
from lifelong.pages.comparison_figures import averages_figure, differences_figure
from lifelong.pages.curves import MOST_COLOURED
from lifelong.pages.end_labels import MOST_LABELLED
from lifelong.pages.heat_map import colour_limits, heat_map
from lifelong.pages.methods import MethodView, method_views
from lifelong.pages.page import figure, render
from lifelong.pages.pareto import BYTES, SECONDS, pareto_figure, with_cost
from lifelong.utilities.amounts import bytes_text, seconds_text

UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "s": 1, "min": 60, "h": 3600}
MOST_MATRICES = 24
"""Largest number of methods whose matrices are drawn; more would make the page slow."""


def comparison_html(comparison: Comparison) -> str:
    """Return the page of a comparison as text; equal comparisons give identical pages.

    Args:
        comparison: the compared methods.

    Example:
        >>> import numpy as np
        >>> from lifelong.evaluation.compared import NamedRun
        >>> from lifelong.evaluation.comparison import compare_methods
        >>> from lifelong.evaluation.results import Results
        >>> from lifelong.evaluation.setting import Setting
        >>> runs = [NamedRun(n, Results(Setting(("a",), ("a",)), {"score": [np.full((1, 4), 0.5)]})) for n in "xy"]
        >>> "<h1>2 methods compared</h1>" in comparison_html(compare_methods({run.name: [run] for run in runs}))
        True
    """
    rows, differences, against = comparison.rows, comparison.differences, comparison.against
    table = sheet(rows, differences, against)
    caption = captions(rows, differences, against, comparison.procedure)
    methods = method_views(comparison)
    beside = [method for method in methods if not method.apart]
    return render(
        "comparison.html.j2",
        title=f"{len(rows)} methods compared",
        run="",
        lead=f'{sum(len(row.runs) for row in rows)} runs; every other method is compared with "{against}".',
        warnings=[sentence(text) for text in comparison.warnings],
        notes=[sentence(text) for text in (*caption, *comparison.notes)],
        heads=[(head, is_number(column)) for head, column in zip(table.heads, table.columns, strict=True)],
        lines=[[(text, sort_value(text)) for text in line] for line in table.rows],
        figures=_figures(comparison, beside),
        matrices=_matrices(methods),
        left_out=[sentence(f"{m.label} is not drawn with the others: {m.apart}") for m in methods if m.apart],
        labels=[row.label for row in rows],
        config_differences=comparison.config_differences,
    )


def sort_value(text: str) -> float | None:
    """Return the number by which a cell of the table is sorted. None for a text or a missing value.

    Example:
        >>> [sort_value(text) for text in ("84.8 ± 2.5", "2.7 MB", "<0.001", "n/a", "+1.0 [0, 2]")]
        [84.8, 2700000.0, 0.001, None, 1.0]
    """
    found = re.match(r"<?([+-]?(?:inf|\d+(?:\.\d+)?(?:e[+-]?\d+)?))(?: (B|kB|MB|GB|s|min|h))?(?= |$)", text)
    return None if found is None else float(found[1]) * UNITS[found[2] or "B"]


def is_number(column: Sequence[str]) -> bool:
    """Return whether a column is sorted by numbers, that is, every cell with a value contains one."""
    said = [text for text in column if text and not text.startswith("n/a")]
    return bool(said) and all(sort_value(text) is not None for text in said)


def _figures(comparison: Comparison, beside: Sequence[MethodView]) -> list[dict[str, Any]]:
    """Return the figures that show several methods. Empty if no method is comparable with the baseline."""
    if not beside:
        return []
    score = beside[0].view.score
    figures = []
    if any(len(method.view.rows) > 1 for method in beside):
        how = "A dotted horizontal line is a method without a stream, such as joint training."
        pointed = "" if len(beside) <= MOST_COLOURED else " Point at a curve to pick it out."
        title = f"{score}, averaged over the domains learnt so far"
        figures.append(figure("averages", title, averages_figure(beside), f"{how}{pointed}"))
    front = (
        "Up and left is better; the dashed line joins the methods that no other beats in both. Hollow: a bound, such "
        "as joint training, and no continual method."
    )
    costs: tuple[tuple[str, str, Callable[[MethodView], float], Callable[[float], str], Sequence[float]], ...] = (
        ("bytes", "memory of learner and strategies", lambda m: m.n_bytes, bytes_text, BYTES),
        ("seconds", "time of a run", lambda m: m.seconds, seconds_text, SECONDS),
    )
    for name, what, cost, text, units in costs:
        if any(cost(method) > 0 for method in beside):
            drawing = pareto_figure(beside, cost, text, units)
            title = f"{score} after the last experience, against {what}"
            key = [method.label for method in with_cost(beside, cost)]
            figures.append(figure(name, title, drawing, front, key if len(key) <= MOST_LABELLED else ()))
    if known := [d for d in comparison.differences if not d.reason]:
        setting, places = comparison.rows[0].runs[0].setting, beside[0].view.places
        drawing = differences_figure(known, unit(setting.percent), places, score)
        caption = "Right of the line is better. 95 % intervals; on the same evaluation units, task by task."
        figures.append(figure("differences", f"Paired differences from {comparison.against}", drawing, caption))
    return figures


def _matrices(methods: Sequence[MethodView]) -> list[dict[str, Any]]:
    """Return the matrix of each method, on one colour scale if they are comparable."""
    beside = [method.view.values for method in methods if not method.apart]
    limits = colour_limits(beside) if beside else None
    drawn = []
    for number, method in enumerate(methods[:MOST_MATRICES]):
        drawing = heat_map(method.view, None if method.apart else limits, compact=True)
        scale = "Separate colour scale. " if method.apart else ""
        caption = f"{scale}{method.remark} {method.view.left_out}".strip()
        drawn.append(figure(f"matrix-{number}", method.label, drawing, caption))
    return drawn
