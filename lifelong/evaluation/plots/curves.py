"""The score of every domain over the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.plots.key import (
    AVERAGE_WIDTH,
    MAX_IN_LEGEND,
    MAX_LABELLED,
    End,
    add_key,
    key_inches,
    line_styles,
    line_width,
)
from lifelong.evaluation.plots.style import (
    INCH_PER_LETTER,
    Colour,
    integers_along,
    label,
    make_figure,
    title_above,
    title_lines,
    with_unit,
)
from lifelong.evaluation.tables import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

MAX_NAMED_TICKS = 30
MAX_CURVES = 100  # more lines would only cover each other
FAINT = 0.5  # opacity of domains that are not learnt yet
AVERAGE = "average of learnt"


def forgetting_curves_figure(
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
    """Draw the score of each domain over the stream: faint and dotted before it is learnt, solid afterwards.

    The black line is the average over the domains learnt so far. Up to 6 domains are drawn with bands (95 % intervals)
    and a legend. Up to 50 have their names at the ends of the curves, and more share a colour scale. Of more than 100
    domains, 100 spread evenly over the stream are drawn. Lines connect evaluated scores. A single row is drawn as
    points, each with its name below.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` half widths of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        averages: ``T`` averages over the domains learnt so far.
        title: title above the figure; may have several lines.
        score_name: name of the score: accuracy, return, …
        percent: show fractions as percent.
        joint: whether all domains are learnt in the only row.
        n_unseen: number of unseen domains, which are the last columns.

    Example:
        >>> names, averages = ["a", "b"], [Estimate(1.0, 0.1), Estimate(0.5, 0.1)]
        >>> figure = forgetting_curves_figure(
        ...     np.eye(2), None, names, names, averages, title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['average of learnt', 'a', 'b']
    """
    curves = Curves(matrix, half_widths, row_names, column_names, averages, title, score_name, percent, joint, n_unseen)
    figure = make_figure(curves.size)
    curves.draw(figure)
    return figure


@dataclass(frozen=True)
class Curves:
    """Draw curves on a figure of a known size; the arguments are those of :func:`forgetting_curves_figure`."""

    matrix: Array
    half_widths: Array | None
    row_names: Sequence[str]
    column_names: Sequence[str]
    averages: Sequence[Estimate]
    title: str
    score_name: str
    percent: bool
    joint: bool
    n_unseen: int

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height in inches."""
        return curves_size(self._ticks, [] if self._is_row else self._columns, self.title)

    def draw(self, figure: FigureBase) -> None:
        """Draw on a figure, or on a part of one."""
        axes = figure.add_subplot()
        average = self._draw_average(axes)
        spread_evenly = np.linspace(0, len(self._columns) - 1, min(len(self._columns), MAX_CURVES)).round().astype(int)
        ends = [self._draw_domain(axes, domain) for domain in np.unique(spread_evenly).tolist()]
        self._name_experiences(axes)
        axes.set_ylabel(with_unit(self.score_name, self.percent))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if not self._is_row:
            add_key(axes, ends, average, axes_height(self._columns), len(self._columns))
        title_above(figure, self.title, self.size[0])

    @property
    def _columns(self) -> list[str]:
        return [label(name) for name in self.column_names]

    @property
    def _is_row(self) -> bool:
        return len(self.matrix) == 1

    @property
    def _ticks(self) -> list[str]:
        """Return the labels below the axes: experiences, or the domains of a single row; empty if there is no room."""
        if self._is_row:
            return ["average", *self._columns] if len(self._columns) <= MAX_LABELLED else [""] * MAX_LABELLED
        n_rows = len(self.matrix)
        if n_rows > MAX_NAMED_TICKS:
            return [""] * n_rows
        return [f"{i + 1} {label(name)}" for i, name in enumerate(self.row_names)]

    def _name_experiences(self, axes: Axes) -> None:
        n_rows, ticks = len(self.matrix), self._ticks
        if self._is_row:
            done = "training" if self.joint else label(self.row_names[0])
            axes.set_xlim(-0.7, len(self._columns) + 0.7)
            first, what = 0, f"after {done}" if ticks[0] else f"domain, in the order of the stream, after {done}"
        else:
            margin = min(0.03 * n_rows, 0.6)
            axes.set_xlim(1 - margin, n_rows + margin)
            first, what = 1, "experience learnt last"
        axes.set_xlabel(what)
        if ticks[0]:
            rotation = 90 if _are_upright(ticks) else 0
            axes.set_xticks(range(first, first + len(ticks)), ticks, fontsize=8.5, rotation=rotation)
        else:
            integers_along(axes)

    def _draw_average(self, axes: Axes) -> End:
        factor = unit(self.percent)
        mean = np.array([average.value for average in self.averages]) * factor
        half_width = np.array([average.half_width for average in self.averages]) * factor
        known = np.isfinite(mean)
        x = (np.arange(len(mean)) + (0 if self._is_row else 1))[known]
        mean, half_width = mean[known], half_width[known]
        marker = "D" if self._is_row else ""
        axes.plot(x, mean, color="black", linewidth=AVERAGE_WIDTH, marker=marker, zorder=3, gid="average")
        if self._is_row:
            axes.errorbar(x, mean, np.nan_to_num(half_width), color="black", linestyle="none", capsize=3)
        else:
            axes.fill_between(x, mean - half_width, mean + half_width, color="black", alpha=0.15, linewidth=0)
        return _end(AVERAGE, x, mean, "black")

    def _draw_domain(self, axes: Axes, domain: int) -> End:
        factor, (n_rows, n_columns) = unit(self.percent), self.matrix.shape
        colour, marker = line_styles(n_columns)[domain]
        values = self.matrix[:, domain] * factor
        widths = None if self.half_widths is None else self.half_widths[:, domain] * factor
        is_unseen = domain >= n_columns - self.n_unseen
        learnt_from = n_rows if is_unseen else 0 if self.joint else domain
        if self._is_row:
            _draw_point(axes, domain + 1, values[0], widths, colour, marker or "o", is_learnt=learnt_from == 0)
        else:
            widths = widths if n_columns <= MAX_IN_LEGEND else None
            _draw_line(axes, values, widths, learnt_from, colour, marker, line_width(n_columns))
        known = np.isfinite(values)
        x = np.arange(1, n_rows + 1)[known]
        return _end(self._columns[domain], x, values[known], colour, faint=not known.any() or x[-1] <= learnt_from)


def curves_size(ticks: Sequence[str], names: Sequence[str], title: str) -> tuple[float, float]:
    """Return width and height in inches of a figure of curves.

    Args:
        ticks: labels below the axes.
        names: names of the curves in the key; empty if there is no key.
        title: title above the figure.
    """
    below = max(map(len, ticks)) * INCH_PER_LETTER if _are_upright(ticks) else 0.2
    key = key_inches(names, AVERAGE)[0] if names else 0.2
    width = _axes_inches(ticks) + 0.8 + key
    return width, axes_height(names) + 0.6 + below + 0.2 * len(title_lines(title, width))


def axes_height(names: Sequence[str]) -> float:
    """Return the height of the axes in inches, which depends on the key of the curves.

    Args:
        names: names of the curves.
    """
    return max(3.2, key_inches(names, AVERAGE)[1] if names else 0.0)


def _axes_inches(ticks: Sequence[str]) -> float:
    return 3.4 + 0.22 * (len(ticks) if ticks[0] else min(len(ticks), 16))


def _are_upright(names: Sequence[str]) -> bool:
    """Return whether the labels below the axes are too wide and have to be rotated."""
    return max(map(len, names)) * INCH_PER_LETTER > _axes_inches(names) / len(names)


def _end(name: str, x: np.ndarray, y: Array, colour: Colour, *, faint: bool = False) -> End:
    last = (float(x[-1]), float(y[-1])) if len(x) else (np.nan, np.nan)
    return End(name, *last, colour, faint)


def _draw_line(
    axes: Axes,
    values: Array,
    widths: Array | None,
    learnt_from: int,
    colour: Colour,
    marker: str,
    width: float,
) -> None:
    x, number, known = np.arange(1, len(values) + 1), np.arange(len(values)), np.isfinite(values)
    # One domain's line goes on where whole rows are few.
    learnt, before = known & (number >= learnt_from), known & (number <= learnt_from)
    solid: dict[str, Any] = {"marker": marker, "markersize": 4.5, "linewidth": width, "gid": "learnt", "zorder": 2.5}
    axes.plot(x[learnt], values[learnt], color=colour, **solid)
    if learnt_from > 0:
        dotted: dict[str, Any] = {"linestyle": ":", "linewidth": 0.65 * width, "alpha": FAINT, "zorder": 1.5}
        axes.plot(x[before], values[before], color=colour, gid="unlearnt", **dotted)
    if widths is not None and learnt_from < len(values) - 1:
        low, high = (values - widths)[learnt], (values + widths)[learnt]
        axes.fill_between(x[learnt], low, high, color=colour, alpha=0.13, linewidth=0)


def _draw_point(
    axes: Axes, x: int, value: float, widths: Array | None, colour: Colour, marker: str, *, is_learnt: bool
) -> None:
    fill, opacity = (colour, 1.0) if is_learnt else ("white", FAINT + 0.2)
    gid = "learnt" if is_learnt else "unlearnt"
    axes.plot([x], [value], color=colour, marker=marker, markersize=4.5, markerfacecolor=fill, alpha=opacity, gid=gid)
    if widths is not None:
        style: dict[str, Any] = {"linestyle": "none", "capsize": 2, "linewidth": 1, "alpha": opacity}
        axes.errorbar([x], [value], np.nan_to_num(widths), color=colour, **style)
