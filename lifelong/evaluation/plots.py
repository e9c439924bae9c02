"""Figures of a run: the accuracy matrix as a heat map, and the score of every domain over the stream or over steps.

Figures are made without pyplot: nothing global is touched, no window opens, and no figure stays behind in a list.
Matplotlib is imported where it is used, so that a run without plots does not wait for it.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from lifelong.evaluation.metrics import Array, Estimate, number
from lifelong.evaluation.tables import average_of_learnt, places, shorten, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour: TypeAlias = str | tuple[float, float, float, float]

MAX_NUMBERED = 20  # cells per side beyond which their numbers could not be read
MAX_WITH_INTERVALS = 10
MAX_NAMED_LINES = 12  # lines beyond which colours could not be told apart
MAX_NAMED_TICKS = 30
FADE = 0.72  # share of white in the colour of a domain that is not learnt yet
MAX_CURVES = 100  # lines beyond which more of them would only cover each other
TICK_INCHES = 0.24  # room of a name
CELL_INCHES = ((5, 0.85), (MAX_WITH_INTERVALS, 0.66), (MAX_NUMBERED, 0.46), (50, TICK_INCHES))  # (up to n cells, side)
INCH_PER_LETTER = 0.085  # at the size of tick labels and titles, with a little air

# Paul Tol's and Okabe-Ito's hues, dark enough to be read on white and apart for colour-blind readers with the markers.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#882255", "#999933", "#332288", "#777777", "#AA4499", "#117733",
)  # fmt: skip
MARKERS = "osD^vPX<>ph*"
LEGEND: dict[str, Any] = {"fontsize": 8.5, "frameon": False, "borderaxespad": 0.2}


def accuracy_matrix_figure(
    matrix: Array,
    half_widths: Array | None,
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    title: str,
    score_name: str,
    percent: bool,
    joint: bool = False,
    n_unseen: int = 0,
) -> Figure:
    """Heat map of the accuracy matrix: a row per experience learnt, a column per domain.

    Domains that are not learnt yet are pale, cells that were not evaluated are hatched. Up to 20 columns every cell
    has its number, up to 10 the half width of its interval as well. Larger matrices leave out rows in which a learnt
    domain was not evaluated, and from 50 cells on they grow no more, and not every cell has a name.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        title: above the figure.
        score_name: what a score is: accuracy, return, …
        percent: show hundredths as percent.
        joint: all domains are learnt in the only row.
        n_unseen: so many of the domains, the last ones, are never learnt.

    Example:
        >>> figure = accuracy_matrix_figure(
        ...     np.eye(2), None, ["a", "b"], ["a", "b"], title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['100.0', '0.0', '0.0', '100.0']
    """
    from matplotlib.figure import Figure

    values = matrix * unit(percent)
    n_learnt = np.full(len(values), values.shape[1]) if joint else np.arange(1, len(values) + 1)
    n_learnt = np.minimum(n_learnt, values.shape[1] - n_unseen)
    chosen = _rows_to_draw(values, n_learnt)
    rows = [f"after {_label(row_names[i])}" for i in chosen]
    columns = [_label(name) for name in column_names]
    figure = Figure(figsize=_heat_map_size(rows, columns, title), layout="constrained")
    axes = figure.add_subplot()
    colours = _draw_cells(axes, values[chosen], n_learnt[chosen], score_name=_with_unit(score_name, percent))
    if max(matrix.shape) <= MAX_NUMBERED:
        widths = None if half_widths is None or max(matrix.shape) > MAX_WITH_INTERVALS else half_widths * unit(percent)
        _draw_numbers(axes, values, widths, colours, places(matrix, percent))
    _name_cells(axes, rows, columns)
    title_above(figure, title)
    return figure


def forgetting_curves_figure(
    matrix: Array,
    half_widths: Array | None,
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    title: str,
    score_name: str,
    percent: bool,
    joint: bool = False,
    n_unseen: int = 0,
) -> Figure:
    """Score of every domain while the stream goes by: dotted before it is learnt, solid from then on.

    The black line is the average over the domains learnt so far. Bands are 95 % intervals. Up to 12 domains have a
    colour and a marker each; more share a colour scale, and only the average keeps its band; of more than 100 those
    drawn are spread evenly over the stream. Lines join what was evaluated.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        title: above the figure.
        score_name: what a score is: accuracy, return, …
        percent: show hundredths as percent.
        joint: all domains are learnt in the only row.
        n_unseen: so many of the domains, the last ones, are never learnt.

    Example:
        >>> figure = forgetting_curves_figure(
        ...     np.eye(2), None, ["a", "b"], ["a", "b"], title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['average of learnt', 'a', 'b']
    """
    from matplotlib.figure import Figure

    values = matrix * unit(percent)
    widths = np.full_like(values, np.nan) if half_widths is None else half_widths * unit(percent)
    ticks, columns = _tick_names(row_names), [_label(name) for name in column_names]
    figure = Figure(figsize=_curves_size(ticks, columns, title), layout="constrained")
    axes = figure.add_subplot()
    named = len(columns) <= MAX_NAMED_LINES
    _draw_average(axes, values, average_of_learnt(values, widths, joint=joint, n_unseen=n_unseen))
    styles = _line_styles(len(columns))
    for j in np.unique(np.linspace(0, len(columns) - 1, min(len(columns), MAX_CURVES)).round().astype(int)).tolist():
        colour, marker = styles[j]
        offset = _spread(j, len(columns)) if len(matrix) == 1 else 0.0
        is_unseen = j >= len(columns) - n_unseen
        learnt_from = len(matrix) if is_unseen else 0 if joint else j
        _draw_domain(axes, values[:, j], widths[:, j] if named else None, learnt_from, offset, colour, marker)
    _name_experiences(axes, ticks, joint=joint)
    axes.set_ylabel(_with_unit(score_name, percent))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _add_key(axes, columns, linestyle="none" if len(matrix) == 1 else "-")
    title_above(figure, title)
    return figure


def adaptation_curve_figure(
    scores: Array,
    half_widths: Array | None,
    column_names: Sequence[str],
    *,
    title: str,
    score_name: str,
    percent: bool,
    averaged: bool = True,
    step_names: Sequence[str] | None = None,
    step_label: str = "inner steps",
) -> Figure:
    """Score of every domain after 0, 1, … inner steps, and in black the average over all domains.

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
        step_names: ``K + 1`` names of the steps; their numbers where None.
        step_label: what the steps are.

    Example:
        >>> figure = adaptation_curve_figure(
        ...     np.eye(2), None, ["a", "b"], title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['average', 'a', 'b']
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    values = scores * unit(percent)
    widths = np.full_like(values, np.nan) if half_widths is None else half_widths * unit(percent)
    columns, steps = [_label(name) for name in column_names], np.arange(values.shape[1])
    # The domains have tasks of their own, so the variances of their means add up.
    average = (values.mean(0), np.sqrt((widths**2).sum(0)) / len(columns))
    figure = Figure(figsize=_curves_size([""] * min(len(steps), 11), columns, title), layout="constrained")
    axes = figure.add_subplot()
    averaged = averaged and len(columns) > 1  # of a single domain the average is its own line
    if averaged:
        _draw_steps(axes, steps, *average, "black", "", {"linewidth": 2.8, "zorder": 3, "gid": "average"})
    for domain, half_width, (colour, marker) in zip(values, widths, _line_styles(len(columns)), strict=True):
        band = half_width if len(columns) <= MAX_NAMED_LINES else np.full_like(half_width, np.nan)
        _draw_steps(axes, steps, domain, band, colour, marker, {"linewidth": 1.4, "gid": "domain"})
    axes.set_xlabel(step_label)
    axes.set_ylabel(_with_unit(score_name, percent))
    if step_names is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xticks(steps, step_names)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _add_key(axes, columns, linestyle="-", average_name="average" if averaged else "")
    title_above(figure, title)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure so that a reader never sees half a file, then free what it drew.

    Args:
        figure: empty afterwards.
        path: ends in the format: ``.png``, ``.pdf``, ``.svg``; missing folders are made.

    Raises:
        ValueError: when matplotlib does not know the format.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=150)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        figure.clear()


def _label(name: str) -> str:
    """A name as matplotlib shall show it: short, and a dollar is a dollar instead of a formula."""
    return shorten(name).replace("$", r"\$")


def _with_unit(score_name: str, percent: bool) -> str:
    return f"{score_name} (%)" if percent else score_name


def title_above(figure: Figure, title: str) -> None:
    """A title above the whole figure, in as many lines as its width asks for."""
    if title:
        figure.suptitle("\n".join(_title_lines(title, figure.get_figwidth())), fontsize=11)


def _title_lines(title: str, inches: float) -> list[str]:
    return textwrap.wrap(title.replace("$", r"\$"), max(int(inches / (1.15 * INCH_PER_LETTER)), 10))


def _cell_inches(n_cells: int) -> float:
    """Side of a cell: smaller steps for more cells, with a matrix that still never shrinks as it gets more of them."""
    return max(min(n_cells, limit) * inches for limit, inches in CELL_INCHES) / n_cells


def _cell_sides(n_rows: int, n_columns: int) -> tuple[float, float]:
    """Height and width of a cell: the same, but where the columns are too many for squares the few rows have room."""
    side = _cell_inches(max(n_rows, n_columns))
    return max(side if side >= TICK_INCHES else _cell_inches(n_rows), 1.4 / n_rows), side


def _every(inches: float) -> int:
    """Cells of this side that share a name."""
    return max(math.ceil(TICK_INCHES / inches - 1e-6), 1)


def _are_upright(columns: Sequence[str]) -> bool:
    """Whether the names are wider than their columns and have to be turned."""
    return max(map(len, columns)) * INCH_PER_LETTER > _cell_inches(len(columns)) * max(1.0, 2 / len(columns))


def _heat_map_size(rows: Sequence[str], columns: Sequence[str], title: str) -> tuple[float, float]:
    high, cell = _cell_sides(len(rows), len(columns))
    below = max(map(len, columns)) * INCH_PER_LETTER if _are_upright(columns) else 0.2
    # Never so small that the colour bar's label is longer than the bar.
    width = max(len(columns) * cell, 1.4) + max(map(len, rows)) * INCH_PER_LETTER + 1.3
    height = len(rows) * high + below + 0.45
    return width, height + 0.2 * len(_title_lines(title, width))


def _rows_to_draw(values: Array, n_learnt: np.ndarray) -> np.ndarray:
    """All rows of a small matrix; of a large one those that have all that was learnt."""
    is_learnt = np.arange(values.shape[1]) < n_learnt[:, None]
    whole = (np.isfinite(values) | ~is_learnt).all(1)
    small = max(values.shape) <= MAX_NUMBERED or not whole.any()
    return np.arange(len(values)) if small else np.flatnonzero(whole)


def _draw_cells(axes: Axes, values: Array, n_learnt: np.ndarray, *, score_name: str) -> Array:
    """Paint the cells and the colour bar, and return the colours ``(T, D, 4)``."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    margin = 0.0 if high > low else 0.02 * abs(high) or 1.0  # a constant matrix has a colour scale as well
    scale = ScalarMappable(Normalize(low - margin, high + margin), colormaps["viridis"])
    colours: Array = np.asarray(scale.to_rgba(np.where(np.isfinite(values), values, low)), dtype=float)
    pale = np.arange(values.shape[1]) >= n_learnt[:, None]
    colours[pale, :3] = FADE + (1 - FADE) * colours[pale, :3]
    colours[~np.isfinite(values)] = 1.0
    axes.imshow(colours, aspect="auto", interpolation="nearest")  # no row that was never measured
    if max(values.shape) <= CELL_INCHES[-1][0]:  # smaller cells are just white
        _hatch(axes, ~np.isfinite(values))
    axes.figure.colorbar(scale, ax=axes, label=score_name, pad=0.02)
    return colours


def _hatch(axes: Axes, cells: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    for i, j in np.argwhere(cells):
        box = Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", edgecolor="0.8", linewidth=0)
        axes.add_patch(box)


def _draw_numbers(axes: Axes, values: Array, widths: Array | None, colours: Array, n_places: int) -> None:
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        # Luminance as the eye weighs it (Rec. 709), so that the number stands out against its own cell.
        dark = colours[i, j, :3] @ np.array([0.2126, 0.7152, 0.0722]) < 0.5
        style: dict[str, Any] = {"color": "white" if dark else "black", "ha": "center"}
        if widths is None or np.isnan(widths[i, j]):
            axes.text(j, i, number(value, n_places), va="center", fontsize=8, **style)
            continue
        axes.text(j, i, number(value, n_places), va="bottom", fontsize=9, **style)
        half_width = f"±{number(float(widths[i, j]), n_places)}"
        below: dict[str, Any] = {"xytext": (0, -2), "textcoords": "offset points", "va": "top"}
        axes.annotate(half_width, (j, i), fontsize=6.5, **below, **style)


def _name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    n_cells = max(len(rows), len(columns))
    size = 9 if n_cells <= MAX_NUMBERED else 7.5
    down, across = (_every(inches) for inches in _cell_sides(len(rows), len(columns)))
    axes.set_xticks(
        range(0, len(columns), across), columns[::across], fontsize=size, rotation=90 if _are_upright(columns) else 0
    )
    axes.set_yticks(range(0, len(rows), down), rows[::down], fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if across > 1:
        return  # lines between the cells would cover them
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)


def _curves_size(row_names: Sequence[str], column_names: Sequence[str], title: str) -> tuple[float, float]:
    below = max(map(len, row_names)) * INCH_PER_LETTER if _are_ticks_upright(row_names) else 0.2
    named = len(column_names) <= MAX_NAMED_LINES
    key = 0.6 + max(len("average of learnt"), *map(len, column_names)) * INCH_PER_LETTER if named else 1.0
    width = _axes_inches(len(row_names)) + 0.8 + key
    return width, 3.8 + below + 0.2 * len(_title_lines(title, width))


def _axes_inches(n_rows: int) -> float:
    return 3.4 + 0.22 * min(n_rows, 40)


def _are_ticks_upright(names: Sequence[str]) -> bool:
    """Whether the names of the experiences are wider than the room of each, and have to be turned."""
    return max(map(len, names)) * INCH_PER_LETTER > _axes_inches(len(names)) / len(names)


def _tick_names(row_names: Sequence[str]) -> list[str]:
    """Numbered names, or bare numbers where names would not fit."""
    if len(row_names) > MAX_NAMED_TICKS:
        return [""] * len(row_names)
    return [f"{i + 1} {_label(name)}" for i, name in enumerate(row_names)]


def _line_styles(n_lines: int) -> list[tuple[Colour, str]]:
    from matplotlib import colormaps

    if n_lines <= MAX_NAMED_LINES:
        return list(zip(COLOURS[:n_lines], MARKERS[:n_lines], strict=True))
    return [(colormaps["viridis"](0.95 * j / (n_lines - 1)), "") for j in range(n_lines)]


def _spread(index: int, count: int) -> float:
    """Offset of a lone point, so that the points of one row stand side by side."""
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


def _draw_average(axes: Axes, values: Array, averages: Sequence[Estimate]) -> None:
    mean = np.array([average.value for average in averages])
    half_width = np.array([average.half_width for average in averages])
    x = np.arange(1, len(mean) + 1) + (_spread(-1, values.shape[1]) if len(mean) == 1 else 0.0)
    known = np.isfinite(mean)
    x, mean, half_width = x[known], mean[known], half_width[known]
    marker = "D" if len(values) == 1 else ""
    axes.plot(x, mean, color="black", linewidth=2.8, marker=marker, zorder=3, gid="average")
    if len(values) == 1:
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
    """What the lines are: a legend at the right, or beyond 12 domains a colour scale with a legend above the axes.

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
