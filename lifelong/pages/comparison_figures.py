"""Figures of a comparison: averages over the stream, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lifelong.evaluation.compared import Difference
from lifelong.evaluation.estimate import number
from lifelong.evaluation.plots.style import COLOURS
from lifelong.pages.curves import MOST_COLOURED, axis, framed, limits_of
from lifelong.pages.end_labels import end_labels
from lifelong.pages.methods import LENGTH, MethodView
from lifelong.pages.view import label, letters, whole

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def averages_figure(methods: Sequence[MethodView]) -> dict[str, Any]:
    """Draw, for each method, the average over the domains learnt so far after each experience.

    A method without a stream, such as joint training, is a horizontal line.

    Args:
        methods: comparable methods.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    few, longest = len(methods) <= MOST_COLOURED, max(int(m.view.times[-1]) for m in methods)
    traces: list[dict[str, Any]] = []
    ends: dict[int, float] = {}
    drawn: list[float] = []
    for n, method in enumerate(methods):
        values = np.array([average.value for average in method.view.averages])
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            continue
        colour = COLOURS[n] if few else "var(--faint)"
        is_level = method.view.one_row
        times = [1, longest] if is_level else method.view.times[known].tolist()
        at = [known[0]] * 2 if is_level else known.tolist()
        ends[n] = float(values[at[-1]])
        drawn += values[at].tolist()
        traces.append(
            {
                "type": "scatter",
                "mode": "lines" if is_level else "lines+markers",
                "x": times,
                "y": values[at].tolist(),
                "text": [_of_average(method, i) for i in at],
                "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": colour, "width": 2, "dash": "dot" if is_level else DASHES[n] if few else "solid"},
                "marker": {"color": colour, "size": 6 if few else 4},
                "meta": n,
                "showlegend": False,
            }
        )
    low, high = limits_of(drawn)
    names = [method.label for method in methods]
    layout = framed(400, left=62, right=letters(names, LENGTH) * 0.95 + 24, below=48)
    layout["xaxis"] = {**axis(), "range": [1 - 0.03 * longest, 1.02 * longest], "title": {"text": "experiences learnt"}}
    layout["xaxis"] |= {"tick0": 1, "dtick": math.ceil(longest / 12), "showgrid": False}
    layout["yaxis"] = {**axis(), "range": [low, high], "title": {"text": whole(methods[0].view.score)}}
    layout["annotations"] = end_labels(ends, names, low, high, layout, COLOURS if few else None, LENGTH)
    layout["meta"]["highlight"] = not few
    return {"data": traces, "layout": layout}


def differences_figure(differences: Sequence[Difference], factor: float, n_places: int, score: str) -> dict[str, Any]:
    """Draw paired differences and their 95 % intervals, one row each, with a line at zero.

    Args:
        differences: the available differences.
        factor: factor by which scores are multiplied for display.
        n_places: number of decimal places.
        score: name of the score, with its unit.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    values, lows, highs = ([getattr(d, name) * factor for d in differences] for name in ("value", "low", "high"))
    texts = [
        f"<b>{whole(d.label)} − {whole(d.against)}</b><br>{number(v, n_places)} [{number(low, n_places)}, "
        f"{number(high, n_places)}]<br>p = {d.adjusted_p:.3g} (Holm)"
        for d, v, low, high in zip(differences, values, lows, highs, strict=True)
    ]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": list(range(len(values))),
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 9, "color": "var(--accent)"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - v for v, high in zip(values, highs, strict=True)],
            "arrayminus": [v - low for v, low in zip(values, lows, strict=True)],
            "thickness": 1.4,
            "width": 4,
        },
        "showlegend": False,
    }
    names = [d.label for d in differences]
    layout = framed(int(30 * len(values) + 90), left=letters(names, LENGTH) + 20, right=20, below=48)
    low, high = limits_of([*lows, *highs, 0.0])
    layout["xaxis"] = {**axis(), "range": [low, high], "zeroline": True, "zerolinecolor": "var(--text)"}
    layout["xaxis"]["title"] = {"text": f"difference of {whole(score)}"}
    layout["yaxis"] = {**axis(), "range": [len(values) - 0.5, -0.5], "tickvals": list(range(len(values)))}
    layout["yaxis"]["ticktext"] = [label(name, LENGTH) for name in names]
    return {"data": [points], "layout": layout}


def _of_average(method: MethodView, row: int) -> str:
    after = "" if method.view.one_row else f"<br>after {whole(method.view.rows[row])}"
    average = method.view.averages[row]
    value = number(average.value, method.view.places)
    text = value if math.isnan(average.half_width) else average.text(method.view.places)
    return f"<b>{whole(method.label)}</b>{after}<br>average {text}"
