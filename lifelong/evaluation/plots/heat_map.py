"""The accuracy matrix as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.evaluation.estimate import Array, number
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
    from matplotlib.figure import Figure, FigureBase

MAX_NUMBERED = 20  # cells per side beyond which their numbers could not be read
MAX_WITH_INTERVALS = 10
FADE = 0.72  # share of white in the colour of a domain that is not learnt yet
CELL_INCHES = ((5, 0.85), (MAX_WITH_INTERVALS, 0.66), (MAX_NUMBERED, 0.46), (50, TICK_INCHES))  # (up to n cells, side)


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
    """Draw the accuracy matrix as a heat map: a row per experience learnt, a column per domain.

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
    heat_map = HeatMap(matrix, half_widths, row_names, column_names, title, score_name, percent, joint, n_unseen)
    figure = make_figure(heat_map.size)
    heat_map.draw(figure)
    return figure


@dataclass(frozen=True)
class HeatMap:
    """Draw a heat map whose size is known before; the arguments are those of :func:`accuracy_matrix_figure`."""

    matrix: Array
    half_widths: Array | None
    row_names: Sequence[str]
    column_names: Sequence[str]
    title: str
    score_name: str
    percent: bool
    joint: bool
    n_unseen: int

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height in inches."""
        return _heat_map_size(self._rows, self._columns, self.title)

    def draw(self, figure: FigureBase) -> None:
        """Draw on a figure, or on a part of one."""
        values, percent = self.matrix * unit(self.percent), self.percent
        axes = figure.add_subplot()
        colours = _draw_cells(
            axes,
            values[self._chosen],
            self._n_learnt[self._chosen],
            score_name=with_unit(self.score_name, percent),
        )
        if max(values.shape) <= MAX_NUMBERED:
            shows_widths = self.half_widths is not None and max(values.shape) <= MAX_WITH_INTERVALS
            widths = self.half_widths * unit(percent) if shows_widths and self.half_widths is not None else None
            _draw_numbers(axes, values, widths, colours, places(self.matrix, percent))
        _name_cells(axes, self._rows, self._columns)
        title_above(figure, self.title, self.size[0])

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
    """Tell whether the names are wider than their columns and have to be turned."""
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
        if not np.isfinite(values).all():
            axes.set_title("hatched: not evaluated", fontsize="small", color="0.4", loc="right")
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
