"""The score of every domain over the stream, or over inner steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.plots.style import (
    COLOURS,
    INCH_PER_LETTER,
    LEGEND,
    MARKERS,
    Colour,
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

MAX_NAMED_LINES = 12  # lines beyond which colours could not be told apart
MAX_NAMED_TICKS = 30
MAX_CURVES = 100  # lines beyond which more of them would only cover each other


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
    """Draw the score of every domain while the stream goes by: dotted before it is learnt, solid from then on.

    The black line is the average over the domains learnt so far. Bands are 95 % intervals. Up to 12 domains have a
    colour and a marker each; more share a colour scale, and only the average keeps its band; of more than 100 those
    drawn are spread evenly over the stream. Lines join what was evaluated.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        averages: of the domains learnt so far, one for each row.
        title: above the figure.
        score_name: what a score is: accuracy, return, …
        percent: show hundredths as percent.
        joint: all domains are learnt in the only row.
        n_unseen: so many of the domains, the last ones, are never learnt.

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
    """Draw curves whose size is known before; the arguments are those of :func:`forgetting_curves_figure`."""

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
        return _curves_size(_tick_names(self.row_names), [label(name) for name in self.column_names], self.title)

    def draw(self, figure: FigureBase) -> None:
        """Draw on a figure, or on a part of one."""
        factor, (n_rows, n_columns) = unit(self.percent), self.matrix.shape
        axes = figure.add_subplot()
        _draw_average(axes, [average.scaled(factor) for average in self.averages], n_columns)
        spread_evenly = np.linspace(0, n_columns - 1, min(n_columns, MAX_CURVES)).round().astype(int)
        for domain in np.unique(spread_evenly).tolist():
            self._draw_domain(axes, domain)
        _name_experiences(axes, _tick_names(self.row_names), joint=self.joint)
        axes.set_ylabel(with_unit(self.score_name, self.percent))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        _add_key(axes, [label(name) for name in self.column_names], linestyle="none" if n_rows == 1 else "-")
        title_above(figure, self.title, self.size[0])

    def _draw_domain(self, axes: Axes, domain: int) -> None:
        factor, (n_rows, n_columns) = unit(self.percent), self.matrix.shape
        colour, marker = _line_styles(n_columns)[domain]
        has_band = self.half_widths is not None and n_columns <= MAX_NAMED_LINES
        widths = self.half_widths[:, domain] * factor if has_band and self.half_widths is not None else None
        is_unseen = domain >= n_columns - self.n_unseen
        learnt_from = n_rows if is_unseen else 0 if self.joint else domain
        offset = _spread(domain, n_columns) if n_rows == 1 else 0.0
        _draw_domain(axes, self.matrix[:, domain] * factor, widths, learnt_from, offset, colour, marker)


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
    """Draw the score of every domain after 0, 1, … inner steps, and in black the average over all domains.

    Bands are 95 % intervals. Up to 12 domains have a colour and a marker each; more share a colour scale, and only the
    average keeps its band.

    Args:
        scores: ``(D, K + 1)`` scores after 0 to ``K`` steps.
        half_widths: ``(D, K + 1)`` of their 95 % intervals, or None.
        column_names: ``D`` names of domains.
        title: above the figure.
        score_name: what a score is: accuracy, return, …
        percent: show hundredths as percent.
        averaged: draw the average; False where the columns are no domains of one learner.
        averages: ``K + 1`` averages over domains; where None the intervals of the domains are combined, which makes
            that of the average somewhat wide where tasks are few.
        step_names: ``K + 1`` names of the steps; their numbers where None.
        step_label: what the steps are.

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
    figure = make_figure(_curves_size([""] * min(len(steps), 11), columns, title))
    axes = figure.add_subplot()
    averaged = averaged and len(columns) > 1  # of a single domain the average is its own line
    if averaged:
        mean, width = _average(values, widths) if averages is None else _arrays([a.scaled(factor) for a in averages])
        _draw_steps(axes, steps, mean, width, "black", "", {"linewidth": 2.8, "zorder": 3, "gid": "average"})
    for domain, half_width, (colour, marker) in zip(values, widths, _line_styles(len(columns)), strict=True):
        band = half_width if len(columns) <= MAX_NAMED_LINES else np.full_like(half_width, np.nan)
        _draw_steps(axes, steps, domain, band, colour, marker, {"linewidth": 1.4, "gid": "domain"})
    _name_steps(axes, steps, step_names, step_label)
    axes.set_ylabel(with_unit(score_name, percent))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _add_key(axes, columns, linestyle="-", average_name="average" if averaged else "")
    title_above(figure, title)
    return figure


def _average(values: Array, widths: Array) -> tuple[Array, Array]:
    # The domains have tasks of their own, so the variances of their means add up.
    return values.mean(0), np.sqrt((widths**2).sum(0)) / len(values)


def _arrays(estimates: Sequence[Estimate]) -> tuple[Array, Array]:
    return np.array([e.value for e in estimates]), np.array([e.half_width for e in estimates])


def _name_steps(axes: Axes, steps: np.ndarray, names: Sequence[str] | None, what: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(what)
    if names is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xticks(steps, names)


def _curves_size(row_names: Sequence[str], column_names: Sequence[str], title: str) -> tuple[float, float]:
    below = max(map(len, row_names)) * INCH_PER_LETTER if _are_ticks_upright(row_names) else 0.2
    named = len(column_names) <= MAX_NAMED_LINES
    key = 0.6 + max(len("average of learnt"), *map(len, column_names)) * INCH_PER_LETTER if named else 1.0
    width = _axes_inches(len(row_names)) + 0.8 + key
    return width, 3.8 + below + 0.2 * len(title_lines(title, width))


def _axes_inches(n_rows: int) -> float:
    return 3.4 + 0.22 * min(n_rows, 40)


def _are_ticks_upright(names: Sequence[str]) -> bool:
    """Tell whether the names of the experiences are wider than the room of each, and have to be turned."""
    return max(map(len, names)) * INCH_PER_LETTER > _axes_inches(len(names)) / len(names)


def _tick_names(row_names: Sequence[str]) -> list[str]:
    """Number the names; leave them out where they would not fit."""
    if len(row_names) > MAX_NAMED_TICKS:
        return [""] * len(row_names)
    return [f"{i + 1} {label(name)}" for i, name in enumerate(row_names)]


def _line_styles(n_lines: int) -> list[tuple[Colour, str]]:
    from matplotlib import colormaps

    if n_lines <= MAX_NAMED_LINES:
        return list(zip(COLOURS[:n_lines], MARKERS[:n_lines], strict=True))
    return [(colormaps["viridis"](0.95 * j / (n_lines - 1)), "") for j in range(n_lines)]


def _spread(index: int, count: int) -> float:
    """Compute the offset of a lone point, so that the points of one row stand side by side."""
    return 0.7 * ((index + 1) / count - 0.5)


def _draw_domain(
    axes: Axes,
    values: Array,
    widths: Array | None,
    learnt_from: int,
    offset: float,
    colour: Colour,
    marker: str,
) -> None:
    x = np.arange(1, len(values) + 1) + offset
    number = np.arange(len(values))
    # One domain's line goes on where whole rows are few; a single row is a point.
    known = np.isfinite(values)
    learnt, before = known & (number >= learnt_from), known & (number <= learnt_from)
    marker = marker or ("o" if len(values) == 1 else "")
    axes.plot(x[learnt], values[learnt], color=colour, marker=marker, markersize=4.5, linewidth=1.4, gid="learnt")
    hollow = {"markerfacecolor": "white"} if len(values) == 1 else {"markersize": 0}
    if learnt_from > 0:
        axes.plot(x[before], values[before], color=colour, linestyle=":", linewidth=0.9, marker=marker, **hollow)
    if widths is not None and len(values) == 1:
        axes.errorbar(x, values, np.nan_to_num(widths), color=colour, linestyle="none", capsize=2, linewidth=1)
    elif widths is not None and learnt_from < len(values) - 1:
        axes.fill_between(
            x[learnt], (values - widths)[learnt], (values + widths)[learnt], color=colour, alpha=0.13, linewidth=0
        )


def _draw_average(axes: Axes, averages: Sequence[Estimate], n_domains: int) -> None:
    mean, half_width = _arrays(averages)
    is_point = len(mean) == 1
    x = np.arange(1, len(mean) + 1) + (_spread(-1, n_domains) if is_point else 0.0)
    known = np.isfinite(mean)
    x, mean, half_width = x[known], mean[known], half_width[known]
    axes.plot(x, mean, color="black", linewidth=2.8, marker="D" if is_point else "", zorder=3, gid="average")
    if is_point:
        axes.errorbar(x, mean, np.nan_to_num(half_width), color="black", linestyle="none", capsize=3)
    else:
        axes.fill_between(x, mean - half_width, mean + half_width, color="black", alpha=0.15, linewidth=0)


def _draw_steps(
    axes: Axes, steps: np.ndarray, mean: Array, half_width: Array, colour: Colour, marker: str, style: dict[str, Any]
) -> None:
    axes.plot(steps, mean, color=colour, marker=marker, markersize=4.5, **style)
    if np.isfinite(half_width).any():
        axes.fill_between(steps, mean - half_width, mean + half_width, color=colour, alpha=0.13, linewidth=0)


def _name_experiences(axes: Axes, ticks: Sequence[str], *, joint: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    n_rows = len(ticks)
    margin = 0.5 if n_rows == 1 else min(0.03 * n_rows, 0.6)
    axes.set_xlim(1 - margin, n_rows + margin)
    axes.set_xlabel("training" if joint else "experience learnt last")
    if n_rows > MAX_NAMED_TICKS:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xticks(range(1, n_rows + 1), ticks, fontsize=8.5, rotation=90 if _are_ticks_upright(ticks) else 0)


def _add_key(
    axes: Axes, columns: Sequence[str], linestyle: Literal["-", "none"], average_name: str = "average of learnt"
) -> None:
    """Add a legend at the right, or beyond 12 domains a colour scale with a legend above the axes.

    ``average_name`` is empty where no average is drawn.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.lines import Line2D

    styles = _line_styles(len(columns))
    average = Line2D([], [], color="black", linewidth=2.8, linestyle=linestyle, marker="" if linestyle == "-" else "D")
    if len(columns) > MAX_NAMED_LINES:
        axes.legend([average], [average_name], loc="lower right", bbox_to_anchor=(1, 1), **LEGEND)
        scale = ScalarMappable(Normalize(0.5, len(columns) + 0.5), ListedColormap([colour for colour, _ in styles]))
        axes.figure.colorbar(scale, ax=axes, pad=0.02, label="domain, in the order of the stream")
        return
    lines = [Line2D([], [], color=c, marker=m, markersize=4.5, linestyle=linestyle) for c, m in styles]
    entries = [average_name, *columns] if average_name else list(columns)
    handles = [average, *lines] if average_name else lines
    legend = axes.legend(
        handles, list(map(str, range(len(entries)))), loc="upper left", bbox_to_anchor=(1.01, 1), **LEGEND
    )
    for text, entry in zip(legend.get_texts(), entries, strict=True):
        text.set_text(entry)  # afterwards, because a legend leaves out names with a leading underscore
