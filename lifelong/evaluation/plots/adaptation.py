"""The score of each domain over inner steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.plots.curves import axes_height, curves_size
from lifelong.evaluation.plots.key import AVERAGE_WIDTH, MAX_IN_LEGEND, End, add_key, line_styles, line_width
from lifelong.evaluation.plots.style import Colour, integers_along, label, make_figure, title_above, with_unit
from lifelong.evaluation.tables import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def adaptation_curve_figure(
    scores: Array,
    half_widths: Array | None,
    column_names: Sequence[str],
    *,
    title: str,
    score_name: str,
    percent: bool,
    averaged: bool = True,
    averages: Sequence[Estimate] | None = None,
    step_names: Sequence[str] | None = None,
    step_label: str = "inner steps",
) -> Figure:
    """Draw the score of each domain after 0, 1, … inner steps, and in black the average over all domains.

    Up to 6 domains are drawn with bands (95 % intervals) and a legend. Up to 50 have their names at the ends of the
    curves, and more share a colour scale.

    Args:
        scores: ``(D, K + 1)`` scores after 0 to ``K`` steps.
        half_widths: ``(D, K + 1)`` half widths of their 95 % intervals, or None.
        column_names: ``D`` names of domains.
        title: title above the figure.
        score_name: name of the score: accuracy, return, …
        percent: show fractions as percent.
        averaged: draw the average; False if the columns are not domains of one learner.
        averages: ``K + 1`` averages over domains. If None, they are computed from the domains' intervals, which gives
            slightly wide intervals for few tasks.
        step_names: ``K + 1`` names of the steps. Default: their numbers.
        step_label: label of the horizontal axis.

    Example:
        >>> figure = adaptation_curve_figure(
        ...     np.eye(2), None, ["a", "b"], title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['average', 'a', 'b']
    """
    values, factor = scores * unit(percent), unit(percent)
    widths = np.full_like(values, np.nan) if half_widths is None else half_widths * factor
    columns, steps = [label(name) for name in column_names], np.arange(values.shape[1])
    figure = make_figure(curves_size([""] * min(len(steps), 11), columns, title))
    axes, average = figure.add_subplot(), None
    if averaged and len(columns) > 1:  # for a single domain the average is the same line
        mean, width = _average(values, widths) if averages is None else _arrays([a.scaled(factor) for a in averages])
        style = {"linewidth": AVERAGE_WIDTH, "zorder": 3, "gid": "average"}
        average = _draw_steps(axes, "average", steps, mean, width, "black", "", style)
    ends = []
    for name, domain, half_width, (colour, marker) in zip(
        columns, values, widths, line_styles(len(columns)), strict=True
    ):
        band = half_width if len(columns) <= MAX_IN_LEGEND else np.full_like(half_width, np.nan)
        style = {"linewidth": line_width(len(columns)), "gid": "domain"}
        ends.append(_draw_steps(axes, name, steps, domain, band, colour, marker, style))
    _name_steps(axes, steps, step_names, step_label)
    axes.set_ylabel(with_unit(score_name, percent))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    add_key(axes, ends, average, axes_height(columns), len(columns))
    title_above(figure, title)
    return figure


def _average(values: Array, widths: Array) -> tuple[Array, Array]:
    # The domains have different tasks, so the variances of their means add.
    return values.mean(0), np.sqrt((widths**2).sum(0)) / len(values)


def _arrays(estimates: Sequence[Estimate]) -> tuple[Array, Array]:
    return np.array([e.value for e in estimates]), np.array([e.half_width for e in estimates])


def _name_steps(axes: Axes, steps: np.ndarray, names: Sequence[str] | None, what: str) -> None:
    axes.set_xlabel(what)
    if names is None:
        integers_along(axes)
    else:
        axes.set_xticks(steps, names)


def _draw_steps(
    axes: Axes,
    name: str,
    steps: np.ndarray,
    mean: Array,
    half_width: Array,
    colour: Colour,
    marker: str,
    style: dict[str, Any],
) -> End:
    axes.plot(steps, mean, color=colour, marker=marker, markersize=4.5, **style)
    if np.isfinite(half_width).any():
        axes.fill_between(steps, mean - half_width, mean + half_width, color=colour, alpha=0.13, linewidth=0)
    known = np.flatnonzero(np.isfinite(mean))
    return End(name, *((float(steps[known[-1]]), float(mean[known[-1]])) if known.size else (np.nan, np.nan)), colour)
