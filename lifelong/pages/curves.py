"""Scores over the stream as interactive curves, or as points if there is a single row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifelong.evaluation.estimate import Array
from lifelong.evaluation.plots.style import COLOURS
from lifelong.pages.end_labels import end_labels
from lifelong.pages.heat_map import FONT, TRANSPARENT
from lifelong.pages.view import View, label, letters, whole

MOST_COLOURED = 6
"""Number of curves above which all have one colour, and the curve under the pointer is highlighted."""
MOST_NAMED = 24
"""Number of experiences above which the axis shows their numbers instead of their names."""
HEIGHT = 360
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x")


def domain_curves(view: View) -> dict[str, Any]:
    """Draw the score of each domain over the stream: dotted before it is learnt, solid afterwards.

    Up to six domains have different colours. More domains share one colour, are drawn only from when they are learnt,
    and are highlighted under the pointer. Lines connect the evaluated scores.

    Args:
        view: the scores.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    if len(view.values) == 1:
        return domain_points(view)
    n_columns, few = len(view.columns), len(view.columns) <= MOST_COLOURED
    traces = []
    for j in range(n_columns):
        colour = COLOURS[j] if few else "var(--faint)"
        starts = int(np.searchsorted(view.n_learnt, j + 1))
        known = np.flatnonzero(np.isfinite(view.values[:, j]))
        is_unseen = j >= n_columns - view.n_unseen
        before, learnt = known[known <= starts], known[known >= starts]
        if (few or is_unseen) and len(before) > 1:
            traces.append(_curve(view, j, before, colour, dash="dot", few=few))
        if len(learnt):
            traces.append(_curve(view, j, learnt, colour, dash="solid", few=few))
    drawn = [value for trace in traces for value in trace["y"] if value is not None]
    low, high = _limits(view.values, view.widths) if few else _limits(np.array(drawn), None)
    layout = _stream_layout(view, low, high, right=letters(view.columns) + 24)
    ends = {}
    for j in range(n_columns):
        known = np.flatnonzero(np.isfinite(view.values[:, j]))
        if len(known):
            ends[j] = float(view.values[known[-1], j])
    layout["annotations"] = end_labels(ends, view.columns, low, high, layout, COLOURS if few else None)
    layout["meta"]["highlight"] = not few
    return {"data": traces, "layout": layout}


def average_curve(view: View) -> dict[str, Any]:
    """Draw the average over the domains learnt so far after each experience, with its 95 % interval.

    Args:
        view: the scores.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    values, widths = (np.array([getattr(a, name) for a in view.averages]) for name in ("value", "half_width"))
    known = np.flatnonzero(np.isfinite(values))
    texts = [f"after {whole(view.rows[i])}<br>average <b>{view.averages[i].text(view.places)}</b>" for i in known]
    trace = {
        **_line(view.times[known], values[known], "var(--accent)"),
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "error_y": {"type": "data", "array": _plain(widths[known]), "thickness": 1.2, "width": 3},
    }
    low, high = _limits(values[:, None], widths[:, None])
    layout = _stream_layout(view, low, high, right=24)
    return {"data": [trace], "layout": layout}


def domain_points(view: View) -> dict[str, Any]:
    """Draw the scores of the only row as points with 95 % intervals, one line per domain.

    Args:
        view: the scores, with a single row.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    n_columns = len(view.columns)
    known = np.flatnonzero(np.isfinite(view.values[0]))
    low, high = _limits(view.values, view.widths)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": _plain(view.values[0, known]),
        "y": known.tolist(),
        "text": [f"<b>{whole(view.columns[j])}</b><br>{whole(view.score)}: {view.text(0, j)}" for j in known.tolist()],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": "var(--accent)", "size": 8},
        "error_x": {"type": "data", "array": _plain(view.widths[0, known]), "thickness": 1.2, "width": 3},
        "showlegend": False,
    }
    layout = framed(int(22 * n_columns + 90), left=letters(view.columns) + 16, right=20, below=44)
    names = [label(name) for name in view.columns]
    ticks = {"tickvals": list(range(n_columns)), "ticktext": names, "tickfont": {"size": 11}}
    layout["xaxis"] = {**axis(), "range": [low, high], "title": {"text": whole(view.score)}}
    layout["yaxis"] = {**axis(), "range": [n_columns - 0.5, -0.5], **ticks}
    return {"data": [trace], "layout": layout}


def _curve(view: View, j: int, at: np.ndarray, colour: str, *, dash: str, few: bool) -> dict[str, Any]:
    name = whole(view.columns[j])
    texts = [f"<b>{name}</b><br>after {whole(view.rows[i])}<br>{whole(view.score)}: {view.text(i, j)}" for i in at]
    curve = _line(view.times[at], view.values[at, j], colour)
    curve |= {"name": label(view.columns[j]), "text": texts, "hovertemplate": "%{text}<extra></extra>", "meta": j}
    curve["line"] |= {"dash": dash, "width": 2 if few and dash == "solid" else 1.4}
    curve["marker"] |= {"size": 6 if few else 4, "symbol": SYMBOLS[j % len(SYMBOLS)] if few else "circle"}
    if dash == "dot":
        curve |= {"mode": "lines"}
    elif few:
        curve["error_y"] = {"type": "data", "array": _plain(view.widths[at, j]), "thickness": 0.8, "width": 2}
    return curve


def _line(times: np.ndarray, values: Array, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": times.tolist(),
        "y": _plain(values),
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 6},
        "showlegend": False,
    }


def _plain(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _limits(values: Array, widths: Array | None) -> tuple[float, float]:
    """Return the range of an axis that shows all scores and their intervals, with a margin."""
    spans = np.zeros_like(values) if widths is None else np.where(np.isfinite(widths), widths, 0.0)
    known = np.isfinite(values)
    if not known.any():
        return 0.0, 1.0
    low, high = float((values - spans)[known].min()), float((values + spans)[known].max())
    margin = max(0.06 * (high - low), 0.01 * max(abs(low), abs(high))) or 1.0  # rounding errors are not magnified
    return low - margin, high + margin


def limits_of(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis that shows some values, with a margin."""
    return _limits(np.array(values, dtype=float), None)


def _stream_layout(view: View, low: float, high: float, *, right: float) -> dict[str, Any]:
    """Return the layout of a figure whose x-axis is the stream."""
    last, named = int(view.times[-1]), len(view.rows) <= MOST_NAMED
    below = letters(view.rows) * 0.72 + 30 if named else 48
    layout = framed(int(HEIGHT + below), left=62, right=right, below=below)
    x: dict[str, Any] = {**axis(), "range": [1 - 0.02 * last, last * 1.02], "showgrid": False}
    if named:
        x |= {"tickvals": view.times.tolist(), "ticktext": [label(name) for name in view.rows], "tickangle": -50}
    else:
        x |= {"title": {"text": "experience learnt last"}, "nticks": 12}
    layout["xaxis"] = x
    layout["yaxis"] = {**axis(), "range": [low, high], "title": {"text": whole(view.score)}}
    return layout


def axis() -> dict[str, Any]:
    """Return the settings that all axes of curves share."""
    return {"zeroline": False, "fixedrange": True, "gridcolor": "var(--grid)", "linecolor": "var(--grid)"}


def framed(height: int, *, left: float, right: float, below: float) -> dict[str, Any]:
    """Return the layout of a figure.

    Args:
        height: height of the whole figure in pixels.
        left: left margin in pixels.
        right: right margin in pixels.
        below: bottom margin in pixels.
    """
    return {
        "height": height,
        "margin": {"l": int(left), "r": int(right), "t": 20, "b": int(below)},
        "font": FONT,
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "meta": {"least_width": int(left + right + 180)},
    }
