"""The accuracy matrix as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate, number
from lifelong.evaluation.plots.style import (
    INCH_PER_LETTER,
    TICK_INCHES,
    label,
    make_figure,
    title_above,
    title_lines,
    with_unit,
)
from lifelong.evaluation.tables import places, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure, FigureBase

MAX_NUMBERED = 20  # numbers in smaller cells could not be read
MAX_WITH_INTERVALS = 10
MAX_NAMED = 57  # cells per side that each have a name
FADE = 0.72  # share of white in the colour of domains that are not learnt yet
GAP_INCHES = 0.12
"""Gap between the matrix and its averages."""
CELL_INCHES = ((5, 0.85), (MAX_WITH_INTERVALS, 0.66), (MAX_NUMBERED, 0.46), (MAX_NAMED, TICK_INCHES))
"""Maximum numbers of cells per side, and the side of a cell in inches for each."""


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
    averages: Sequence[Estimate] | None = None,
) -> Figure:
    """Draw the accuracy matrix as a heat map: a row per experience, a column per domain, and a column of averages.

    Domains that are not learnt yet are pale, and cells that were not evaluated are hatched. With up to 20 columns, each
    cell shows its number; with up to 10, also the half width of its interval. Averages show numbers if every row has a
    name. Large matrices omit rows in which a learnt domain was not evaluated. From 50 cells per side, the figure no
    longer grows, and only some cells are named.

    Args:
        matrix: ``(T, D)`` scores, NaN where not evaluated.
        half_widths: ``(T, D)`` half widths of their 95 % intervals, or None.
        row_names: ``T`` names of experiences.
        column_names: ``D`` names of domains.
        title: title above the figure; may have several lines.
        score_name: name of the score: accuracy, return, …
        percent: show fractions as percent.
        joint: whether all domains are learnt in the only row.
        n_unseen: number of unseen domains, which are the last columns.
        averages: ``T`` averages over the domains learnt so far. If None, no column of averages is drawn.

    Example:
        >>> figure = accuracy_matrix_figure(
        ...     np.eye(2), None, ["a", "b"], ["a", "b"], title="test", score_name="accuracy", percent=True
        ... )
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['100.0', '0.0', '0.0', '100.0']
    """
    heat_map = HeatMap(
        matrix, half_widths, row_names, column_names, title, score_name, percent, joint, n_unseen, averages
    )
    figure = make_figure(heat_map.size)
    heat_map.draw(figure)
    return figure


@dataclass(frozen=True)
class HeatMap:
    """Draw a heat map on a figure of a known size; the arguments are those of :func:`accuracy_matrix_figure`."""

    matrix: Array
    half_widths: Array | None
    row_names: Sequence[str]
    column_names: Sequence[str]
    title: str
    score_name: str
    percent: bool
    joint: bool
    n_unseen: int
    averages: Sequence[Estimate] | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height in inches."""
        width, height = _heat_map_size(self._rows, self._columns, self.title)
        return width + (0.0 if self.averages is None else GAP_INCHES + self._average_inches), height

    def draw(self, figure: FigureBase) -> None:
        """Draw on a figure, or on a part of one."""
        values = self.matrix * unit(self.percent)
        axes = figure.add_subplot()
        scale = _colour_scale(values[self._chosen])
        colours = _draw_cells(axes, values[self._chosen], self._n_learnt[self._chosen], scale)
        shows_widths = self.half_widths is not None and max(values.shape) <= MAX_WITH_INTERVALS
        if max(values.shape) <= MAX_NUMBERED:
            widths = self.half_widths * unit(self.percent) if shows_widths and self.half_widths is not None else None
            _draw_numbers(axes, values, widths, colours, self._places)
        _name_cells(axes, self._rows, self._columns)
        if self.averages is not None:
            self._draw_averages(axes, scale, shows_widths=shows_widths)
        axes.figure.colorbar(scale, ax=axes, label=with_unit(self.score_name, self.percent), pad=0.02)
        title_above(figure, self.title, self.size[0])

    def _draw_averages(self, axes: Axes, scale: ScalarMappable, *, shows_widths: bool) -> None:
        """Draw the averages as a separate column after a gap."""
        assert self.averages is not None
        (high, cell), n_columns = _cell_sides(len(self._rows), len(self._columns)), len(self._columns)
        left = n_columns - 0.5 + GAP_INCHES / cell
        right = left + self._average_inches / cell
        chosen = [self.averages[i].scaled(unit(self.percent)) for i in self._chosen]
        values = np.array([[average.value] for average in chosen])
        colours = _colours(values, scale)
        bottom = len(values) - 0.5
        axes.imshow(colours, extent=(left, right, bottom, -0.5), aspect="auto", interpolation="nearest")
        axes.set_xlim(-0.5, right)
        axes.set_ylim(bottom, -0.5)
        if high >= TICK_INCHES:  # each row has its name, and room for a number
            widths = np.array([[average.half_width] for average in chosen]) if shows_widths else None
            middle = (left + right) / 2
            _draw_numbers(axes, values, widths, colours, self._places, first=middle, weight="bold")
        names = [tick.get_text() for tick in axes.get_xticklabels()]
        axes.set_xticks([*axes.get_xticks(), (left + right) / 2], [*names, "average"])

    @property
    def _average_inches(self) -> float:
        """Return the width of the column of averages, which fits a number even if cells are small."""
        return max(_cell_sides(len(self._rows), len(self._columns))[1], 0.46)

    @property
    def _places(self) -> int:
        return places(self.matrix, self.percent)

    @property
    def _n_learnt(self) -> np.ndarray:
        n_rows, n_columns = self.matrix.shape
        n_learnt = np.full(n_rows, n_columns) if self.joint else np.arange(1, n_rows + 1)
        shown: np.ndarray = np.minimum(n_learnt, n_columns - self.n_unseen)
        return shown

    @property
    def _chosen(self) -> np.ndarray:
        return _rows_to_draw(self.matrix, self._n_learnt)

    @property
    def _rows(self) -> list[str]:
        return [f"after {label(self.row_names[i])}" for i in self._chosen]

    @property
    def _columns(self) -> list[str]:
        return [label(name) for name in self.column_names]


def _cell_inches(n_cells: int) -> float:
    """Compute the side of a cell: smaller steps for more cells, and a matrix that never shrinks as it gets more."""
    return max(min(n_cells, limit) * inches for limit, inches in CELL_INCHES) / n_cells


def _cell_sides(n_rows: int, n_columns: int) -> tuple[float, float]:
    """Compute height and width of a cell: equal, but few rows have room where columns are too many for squares."""
    side = _cell_inches(max(n_rows, n_columns))
    return max(side if side >= TICK_INCHES else _cell_inches(n_rows), 1.4 / n_rows), side


def _every(inches: float) -> int:
    """Compute how many cells of this side share a name."""
    return max(math.ceil(TICK_INCHES / inches - 1e-6), 1)


def _are_upright(columns: Sequence[str]) -> bool:
    """Return whether the names are wider than their columns and have to be turned."""
    return max(map(len, columns)) * INCH_PER_LETTER > _cell_inches(len(columns)) * max(1.0, 2 / len(columns))


def _heat_map_size(rows: Sequence[str], columns: Sequence[str], title: str) -> tuple[float, float]:
    high, cell = _cell_sides(len(rows), len(columns))
    below = max(map(len, columns)) * INCH_PER_LETTER if _are_upright(columns) else 0.2
    # Never so small that the colour bar's label is longer than the bar.
    width = max(len(columns) * cell, 1.4) + max(map(len, rows)) * INCH_PER_LETTER + 1.3
    height = len(rows) * high + below + 0.45
    return width, height + 0.2 * len(title_lines(title, width))


def _rows_to_draw(values: Array, n_learnt: np.ndarray) -> np.ndarray:
    """Choose all rows of a small matrix, and of a large one those that have all that was learnt."""
    is_learnt = np.arange(values.shape[1]) < n_learnt[:, None]
    whole = (np.isfinite(values) | ~is_learnt).all(1)
    small = max(values.shape) <= MAX_NUMBERED or not whole.any()
    return np.arange(len(values)) if small else np.flatnonzero(whole)


def _colour_scale(values: Array) -> ScalarMappable:
    """Return the scale from the lowest to the highest score; a constant matrix has one as well."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    margin = 0.0 if high > low else 0.02 * abs(high) or 1.0
    return ScalarMappable(Normalize(low - margin, high + margin), colormaps["viridis"])


def _colours(values: Array, scale: ScalarMappable) -> Array:
    """Return the colours ``(…, 4)`` of scores, white where there is none."""
    known = np.isfinite(values)
    colours: Array = np.asarray(scale.to_rgba(np.where(known, values, 0.0)), dtype=np.float64)
    colours[~known] = 1.0
    return colours


def _draw_cells(axes: Axes, values: Array, n_learnt: np.ndarray, scale: ScalarMappable) -> Array:
    """Paint the cells, and return their colours ``(T, D, 4)``."""
    colours = _colours(values, scale)
    pale = np.arange(values.shape[1]) >= n_learnt[:, None]
    colours[pale, :3] = FADE + (1 - FADE) * colours[pale, :3]
    colours[~np.isfinite(values)] = 1.0
    axes.imshow(colours, aspect="auto", interpolation="nearest")  # no row that was never measured
    if max(values.shape) <= CELL_INCHES[-1][0]:  # smaller cells are just white
        _hatch(axes, ~np.isfinite(values))
        if not np.isfinite(values).all():
            axes.set_title("hatched: not evaluated", fontsize="small", color="0.4", loc="right")
    return colours


def _hatch(axes: Axes, cells: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    for i, j in np.argwhere(cells):
        box = Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", edgecolor="0.8", linewidth=0)
        axes.add_patch(box)


def _draw_numbers(
    axes: Axes,
    values: Array,
    widths: Array | None,
    colours: Array,
    n_places: int,
    *,
    first: float = 0.0,
    weight: Literal["normal", "bold"] = "normal",
) -> None:
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        # Luminance as the eye weighs it (Rec. 709), so that the number stands out against its own cell.
        dark = colours[i, j, :3] @ np.array([0.2126, 0.7152, 0.0722]) < 0.5
        style: dict[str, Any] = {"color": "white" if dark else "black", "ha": "center"}
        above, text = style | {"fontweight": weight}, number(value, n_places)
        if widths is None or np.isnan(widths[i, j]):
            size = 8 if len(values) <= MAX_NUMBERED else 7
            axes.text(first + j, i, text, va="center", fontsize=size, **above)
            continue
        axes.text(first + j, i, text, va="bottom", fontsize=9, **above)
        half_width = f"±{number(float(widths[i, j]), n_places)}"
        below: dict[str, Any] = {"xytext": (0, -2), "textcoords": "offset points", "va": "top"}
        axes.annotate(half_width, (first + j, i), fontsize=7, **below, **style)


def _name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    n_cells = max(len(rows), len(columns))
    size = 9 if n_cells <= MAX_NUMBERED else 7
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
