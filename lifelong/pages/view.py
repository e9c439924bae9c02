"""The accuracy matrix for figures: in the unit of the score, with names, and reduced to what can be drawn.

Shapes: ``T`` rows (experiences), ``D`` columns (domains).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate, number
from lifelong.evaluation.results import Results
from lifelong.evaluation.tables import places, shorten, unit

MOST = 60
"""Largest number of rows and columns; more cells could not be distinguished."""
LABEL = 16
"""Largest number of characters of a name next to a figure; the complete name is shown under the pointer."""


@dataclass(frozen=True)
class View:
    """Hold scores for drawing.

    Args:
        values: ``(T, D)``, NaN if not evaluated.
        widths: ``(T, D)``, half widths of the 95 % intervals.
        averages: for each row, the average over the domains learnt so far.
        rows: names of the experiences, with their numbers.
        times: ``(T,)``, number of experiences learnt at each row.
        columns: names of the domains.
        numbers: ``(D,)``, indices of the columns among all domains.
        n_taught: ``(T,)``, number of all domains that are learnt after each row.
        n_ever: number of all domains that are ever learnt; the ones after them are only evaluated.
        one_row: whether there is no stream, as in joint training or for a single checkpoint.
        score: name of the score, with its unit.
        places: number of decimal places.
        left_out: what is not drawn, in a sentence. Empty if everything is drawn.
    """

    values: Array
    widths: Array
    averages: tuple[Estimate, ...]
    rows: tuple[str, ...]
    times: np.ndarray
    columns: tuple[str, ...]
    numbers: np.ndarray
    n_taught: np.ndarray
    n_ever: int
    one_row: bool
    score: str
    places: int
    left_out: str = ""

    @property
    def n_learnt(self) -> np.ndarray:
        """Return the number ``(T,)`` of columns whose domains are learnt after each row."""
        return np.searchsorted(self.numbers, self.n_taught)

    @property
    def n_unseen(self) -> int:
        """Return the number of columns, the last ones, whose domains are never learnt."""
        return int((self.numbers >= self.n_ever).sum())

    def text(self, row: int, column: int) -> str:
        """Return a score with its half width, if there is one, as text."""
        value, width = float(self.values[row, column]), float(self.widths[row, column])
        return number(value, self.places) if np.isnan(width) else Estimate(value, width).text(self.places)

    def state(self, row: int, column: int) -> str:
        """Return in words whether a domain is learnt after a row."""
        if self.numbers[column] >= self.n_ever:
            return "never learnt, only evaluated"
        if self.one_row:
            return ""
        ago = int(self.n_taught[row] - 1 - self.numbers[column])
        if ago < 0:
            return "not learnt yet"
        return "just learnt" if ago == 0 else "learnt before"


def view_of(results: Results) -> View:
    """Return the accuracy matrix for drawing; in a long stream, evenly spaced rows and columns are selected."""
    setting, factor = results.setting, unit(results.setting.percent)
    n_rows, n_columns = results.matrix.shape
    one_row = setting.joint or setting.checkpoint
    n_ever = n_columns - setting.n_unseen
    n_taught = _taught(n_rows, n_ever, one_row)
    rows, columns = _rows(results.matrix, n_taught), spread(n_columns, MOST)
    cells = np.ix_(rows, columns)
    return View(
        values=results.matrix[cells] * factor,
        widths=results.half_widths[cells] * factor,
        averages=tuple(results.averages[i].scaled(factor) for i in rows),
        rows=tuple(_row_name(results, i, one_row) for i in rows),
        times=rows + 1,
        columns=tuple(results.domains[j] for j in columns),
        numbers=columns,
        n_taught=n_taught[rows],
        n_ever=n_ever,
        one_row=one_row,
        score=f"{setting.score} (%)" if setting.percent else setting.score,
        places=places(results.matrix, setting.percent),
        left_out=_left_out(len(rows), n_rows, len(columns), n_columns),
    )


def measure_view(results: Results, measure: str) -> View:
    """Return a strategies' measure for drawing, with a mean for each cell and without intervals."""
    view, setting = view_of(results), results.setting
    n_rows, n_columns = results.matrix.shape
    one_row = setting.joint or setting.checkpoint
    rows = _rows(results.matrix, _taught(n_rows, n_columns - setting.n_unseen, one_row))
    values = results.measures[measure][np.ix_(rows, view.numbers)]
    return replace(view, values=values, widths=np.full_like(values, np.nan), score=measure, places=3)


def spread(total: int, most: int) -> np.ndarray:
    """Select all of a few numbers or, if there are too many, evenly spaced ones including the first and the last.

    Example:
        >>> spread(3, 5).tolist(), spread(9, 3).tolist()
        ([0, 1, 2], [0, 4, 8])
    """
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(int))


def label(name: str, length: int = LABEL) -> str:
    """Shorten a name and escape its special characters, as plotly interprets some HTML.

    Example:
        >>> label("<b>a & b</b>")
        '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    return whole(shorten(name, length))


def whole(name: str) -> str:
    """Escape the special characters of a name."""
    return escape(" ".join(name.split()), quote=False)


def letters(names: Sequence[str], length: int = LABEL) -> float:
    """Estimate the width in pixels of the longest name after shortening."""
    return 6.6 * max((min(len(name), length) for name in names), default=0)


def _taught(n_rows: int, n_ever: int, one_row: bool) -> np.ndarray:
    return np.full(n_rows, n_ever) if one_row else np.minimum(np.arange(1, n_rows + 1), n_ever)


def _row_name(results: Results, row: int, one_row: bool) -> str:
    if results.setting.joint:
        return "all domains at once"
    return results.experiences[row] if one_row else f"{row + 1} {results.experiences[row]}"


def _rows(values: Array, n_taught: np.ndarray) -> np.ndarray:
    """Select all rows of a small matrix; in a large one, prefer rows in which all learnt domains were evaluated."""
    if len(values) <= MOST:
        return np.arange(len(values))
    is_learnt = np.arange(values.shape[1]) < n_taught[:, None]
    complete = np.flatnonzero((np.isfinite(values) | ~is_learnt).all(1))
    chosen = complete if len(complete) > 1 else np.arange(len(values))
    picked: np.ndarray = chosen[spread(len(chosen), MOST)]
    return picked


def _left_out(n_rows: int, all_rows: int, n_columns: int, all_columns: int) -> str:
    parts = []
    if n_rows < all_rows:
        parts.append(f"{n_rows} of {all_rows:,} rows")
    if n_columns < all_columns:
        parts.append(f"{n_columns} of {all_columns:,} domains")
    return f"Drawn are {' and '.join(parts)}, spread over the stream." if parts else ""
