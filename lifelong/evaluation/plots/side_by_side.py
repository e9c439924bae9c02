"""The heat map and the curves of a run in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.plots.curves import Curves
from lifelong.evaluation.plots.heat_map import HeatMap
from lifelong.evaluation.plots.style import make_figure, title_above

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def results_figure(
    matrix: Array,
    half_widths: Array | None,
    row_names: Sequence[str],
    column_names: Sequence[str],
    averages: Sequence[Estimate],
    *,
    title: str,
    score_name: str,
    percent: bool,
    joint: bool = False,
    n_unseen: int = 0,
) -> Figure:
    """Draw the accuracy matrix as a heat map, and next to it the score of each domain over the stream.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` half widths of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        averages: ``T`` averages over the domains learnt so far.
        title: title above both parts.
        score_name: name of the score: accuracy, return, …
        percent: show fractions as percent.
        joint: whether all domains are learnt in the only row.
        n_unseen: number of unseen domains, which are the last columns.

    Example:
        >>> import numpy as np
        >>> names, averages = ["a", "b"], [Estimate(1.0, 0.1), Estimate(0.5, 0.1)]
        >>> figure = results_figure(
        ...     np.eye(2), None, names, names, averages, title="test", score_name="accuracy", percent=True
        ... )
        >>> [len(part.axes) for part in figure.subfigs]
        [2, 1]
    """
    heat_map = HeatMap(matrix, half_widths, row_names, column_names, "", score_name, percent, joint, n_unseen, averages)
    curves = Curves(matrix, half_widths, row_names, column_names, averages, "", score_name, percent, joint, n_unseen)
    widths, heights = zip(heat_map.size, curves.size, strict=True)
    figure = make_figure((sum(widths), max(heights) + 0.3))
    parts: Any = figure.subfigures(1, 2, width_ratios=widths)
    left, right = parts
    heat_map.draw(left)
    curves.draw(right)
    title_above(figure, title)
    return figure
