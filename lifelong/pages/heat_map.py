"""The accuracy matrix as an interactive heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from lifelong.evaluation.estimate import Array, number
from lifelong.pages.view import View, label, letters, whole

MOST_NUMBERED = 20
"""Number of columns above which numbers do not fit into the cells."""
MOST_WITH_WIDTHS, MOST_NUMBERED_BESIDE = 10, 8
FONT = {"color": "var(--text)", "size": 12}
TRANSPARENT = "rgba(0,0,0,0)"
DARK_SHARE = 0.6
"""Share of the colour scale below which cells are so dark that their numbers are white."""


def heat_map(view: View, limits: tuple[float, float] | None = None, *, compact: bool = False) -> dict[str, Any]:
    """Draw the matrix, one row per experience and one column per domain; domains not learnt yet are shaded.

    Args:
        view: the scores.
        limits: smallest and largest score of the colour scale. Default: those of the view.
        compact: draw a smaller matrix with fewer numbers, for several of them in a row.

    Returns:
        ``data`` and ``layout`` for plotly.js. Colours are CSS variables of the page.
    """
    n_rows, n_columns = view.values.shape
    low, high = limits or colour_limits([view.values])
    numbered = max(n_rows, n_columns) <= (MOST_NUMBERED_BESIDE if compact else MOST_NUMBERED)
    cells: dict[str, Any] = {
        "type": "heatmap",
        "z": _finite(view.values),
        "text": [[_pointed(view, i, j) for j in range(n_columns)] for i in range(n_rows)],
        "hovertemplate": "%{text}<extra></extra>",
        "zmin": low,
        "zmax": high,
        "colorscale": "Viridis",
        "xgap": 1 if numbered else 0,
        "ygap": 1 if numbered else 0,
        "showscale": n_rows > 1,  # a single row leaves no room for a colour bar
        "colorbar": {
            "title": {"text": whole(view.score), "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
            "xpad": 6,
        },
    }
    traces = [cells, *_veil(view)]
    if numbered:
        traces.append(_numbers(view, low, high, with_widths=n_columns <= MOST_WITH_WIDTHS and not compact))
    cell = 30 if numbered else 15
    if n_columns <= MOST_WITH_WIDTHS and not compact:
        cell = 44
    return {"data": traces, "layout": _layout(view, cell)}


def colour_limits(matrices: list[Array]) -> tuple[float, float]:
    """Return the smallest and the largest score of some matrices, with a margin if all scores are equal.

    Example:
        >>> colour_limits([np.array([[1.0, np.nan]]), np.array([[3.0]])])
        (1.0, 3.0)
    """
    known = np.concatenate([matrix[np.isfinite(matrix)] for matrix in matrices])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    margin = 0.0 if high > low else 0.02 * abs(high) or 1.0
    return low - margin, high + margin


def _finite(values: Array) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]


def _pointed(view: View, row: int, column: int) -> str:
    """Return the text that is shown when the pointer is on a cell."""
    domain, value = whole(view.columns[column]), view.values[row, column]
    score = "not evaluated" if np.isnan(value) else f"{whole(view.score)}: <b>{view.text(row, column)}</b>"
    after = "" if view.one_row else f"<br>after {whole(view.rows[row])}"
    state = view.state(row, column)
    return f"<b>{domain}</b>{after}<br>{score}{f'<br>{state}' if state else ''}"


def _veil(view: View) -> list[dict[str, Any]]:
    """Return shading for cells of domains not learnt after a row, and a line at its border."""
    n_rows, n_columns = view.values.shape
    if (view.n_learnt >= n_columns).all():
        return []
    edge = [(n - 0.5, i + side) for i, n in enumerate(view.n_learnt.tolist()) for side in (-0.5, 0.5)]
    corner = [(n_columns - 0.5, n_rows - 0.5), (n_columns - 0.5, -0.5)]
    hidden = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    lines = [
        {**hidden, **_points(edge + corner + edge[:1]), "fill": "toself", "fillcolor": "var(--veil)", "line": _line(0)},
        {**hidden, **_points(edge), "line": _line(2)},
    ]
    if view.n_unseen:
        border = n_columns - view.n_unseen - 0.5
        lines.append({**hidden, **_points([(border, -0.5), (border, n_rows - 0.5)]), "line": _line(2, "dot")})
    return lines


def _line(width: float, dash: str = "solid") -> dict[str, Any]:
    return {"color": "var(--text)", "width": width, "dash": dash}


def _points(points: list[tuple[float, float]]) -> dict[str, list[float]]:
    return {"x": [x for x, _ in points], "y": [y for _, y in points]}


def _numbers(view: View, low: float, high: float, *, with_widths: bool) -> dict[str, Any]:
    """Return the scores in their cells, in a readable colour: that of the page on shaded cells, else by the scale."""
    n_rows, n_columns = view.values.shape
    x, y, texts, colours = [], [], [], []
    for i in range(n_rows):
        for j in range(n_columns):
            value, width = float(view.values[i, j]), float(view.widths[i, j])
            small = with_widths and np.isfinite(width)
            below = f"<br><span style='font-size:9px'>± {number(width, view.places)}</span>" if small else ""
            x.append(j)
            y.append(i)
            texts.append("–" if np.isnan(value) else f"{number(value, view.places)}{below}")
            is_dark = (value - low) / (high - low) < DARK_SHARE
            plain = np.isnan(value) or j >= view.n_learnt[i]
            colours.append("var(--text)" if plain else "#ffffff" if is_dark else "#000000")
    return {
        "type": "scatter",
        "mode": "text",
        "x": x,
        "y": y,
        "text": texts,
        "textfont": {"color": colours, "size": 12 if n_columns <= MOST_WITH_WIDTHS else 10},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(view: View, cell: int) -> dict[str, Any]:
    """Return the layout for cells of at least the given size in pixels."""
    n_rows, n_columns = view.values.shape
    high = max(cell, min(44, 160 // n_rows))
    rows, columns = ([label(name) for name in names] for names in (view.rows, view.columns))
    angle = -90 if n_columns > MOST_NUMBERED else -50 if letters(view.columns) > cell else 0
    left, below = letters(view.rows) + 18, letters(view.columns) * (0.0 if angle == 0 else 0.9) + 24
    air = {"ticks": "outside", "ticklen": 5, "tickcolor": TRANSPARENT}
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "showline": False, **air}
    size = 12 if n_columns <= MOST_NUMBERED else 10
    return {
        "height": int(n_rows * high + below + 24),
        "margin": {"l": int(left), "r": 10, "t": 20, "b": int(below)},
        "xaxis": {
            **axis,
            "range": [-0.5, n_columns - 0.5],
            "tickvals": list(range(n_columns)),
            "ticktext": columns,
            "tickangle": angle,
            "tickfont": {"size": size},
        },
        "yaxis": {
            **axis,
            "range": [n_rows - 0.5, -0.5],
            "tickvals": list(range(n_rows)),
            "ticktext": rows,
            "tickfont": {"size": size},
        },
        "font": FONT,
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "hoverlabel": {"align": "left"},
        "meta": {"least_width": int(n_columns * min(cell, 34) + left + 84)},
    }
