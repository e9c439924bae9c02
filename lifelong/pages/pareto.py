"""Scores against costs, with the Pareto front of methods that no other method beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from lifelong.pages.curves import axis, framed, limits_of
from lifelong.pages.end_labels import MOST_LABELLED
from lifelong.pages.methods import LENGTH, MethodView
from lifelong.pages.view import label, letters, whole

BYTES, SECONDS = (1e9, 1e6, 1e3, 1.0), (3600.0, 60.0, 1.0)
"""Sizes of units in descending order."""


def pareto_figure(
    methods: Sequence[MethodView],
    cost: Callable[[MethodView], float],
    text: Callable[[float], str],
    units: Sequence[float],
) -> dict[str, Any]:
    """Draw the score after the last experience against a cost, with the Pareto front.

    The cost axis is logarithmic if costs span a decade or more; a cost of zero, which has no logarithm, is placed at
    its left end. Methods without a stream are bounds: they have hollow markers and are not part of the front.

    Args:
        methods: comparable methods.
        cost: returns the cost of a method.
        text: formats a cost.
        units: sizes of the cost's units in descending order.

    Returns:
        ``data`` and ``layout`` for plotly.js.
    """
    known = with_cost(methods, cost)
    costs, scores = [cost(m) for m in known], [m.final.value for m in known]
    places, ticks = cost_axis(costs, text, units)
    bounds = {i for i, m in enumerate(known) if m.view.one_row}
    best = front(costs, scores, bounds)
    start, end = min(places, default=0.0), max(places, default=1.0)
    margin = 0.12 * (end - start) or 0.5
    heights = [scores[i] for i in best]
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [*(places[i] for i in best), end + margin],
        "y": [*heights, *heights[-1:]],
        "line": {"color": "var(--accent)", "width": 1.5, "shape": "hv", "dash": "dash"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    low, high = limits_of(scores)
    layout = framed(380, left=62, right=40, below=44)
    layout["xaxis"] = {**axis(), "range": [start - margin, end + margin], **ticks}
    layout["yaxis"] = {**axis(), "range": [low - 0.1 * (high - low), high + 0.1 * (high - low)]}
    layout["yaxis"]["title"] = {"text": whole(methods[0].view.score)}
    layout["meta"]["room_for_names"] = 110 + len(known) * letters([m.label for m in known], LENGTH)
    texts = [
        f"{whole(m.view.score)}: {m.final.text(m.view.places)}<br>{text(c)}" for m, c in zip(known, costs, strict=True)
    ]
    return {"data": [line, _named_points(known, places, scores, texts, set(best), bounds)], "layout": layout}


def with_cost(methods: Sequence[MethodView], cost: Callable[[MethodView], float]) -> list[MethodView]:
    """Return the methods with known score and cost, in the order of their numbers in the figure."""
    return [m for m in methods if math.isfinite(m.final.value) and math.isfinite(cost(m))]


def _named_points(
    methods: Sequence[MethodView],
    places: Sequence[float],
    scores: Sequence[float],
    texts: Sequence[str],
    best: set[int],
    bounds: set[int],
) -> dict[str, Any]:
    """Return points with names, alternately above and below, so that the names of neighbours do not overlap.

    If names have no room, the page replaces them by the numbers in ``meta``.
    """
    order = sorted(range(len(methods)), key=lambda i: (places[i], scores[i]))
    position = {i: ("top center", "bottom center")[n % 2] for n, i in enumerate(order)}
    return {
        "type": "scatter",
        "mode": "markers+text" if len(methods) <= MOST_LABELLED else "markers",
        "x": list(places),
        "y": list(scores),
        "text": [label(m.label, LENGTH) for m in methods],
        "meta": {"numbers": [str(n) for n in range(1, len(methods) + 1)]},
        "textposition": [position[i] for i in range(len(methods))],
        "textfont": {"size": 11, "color": "var(--text)"},
        "customdata": [f"<b>{whole(m.label)}</b><br>{text}" for m, text in zip(methods, texts, strict=True)],
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {
            "size": 10,
            "color": ["var(--accent)" if i in best else "var(--soft)" for i in range(len(methods))],
            "symbol": ["circle-open" if i in bounds else "circle" for i in range(len(methods))],
        },
        "cliponaxis": False,
        "showlegend": False,
    }


def front(costs: Sequence[float], scores: Sequence[float], left_out: Collection[int] = ()) -> list[int]:
    """Return the points that no other one beats (as cheap and better, or cheaper and as good), by increasing cost.

    Args:
        costs: cost of each point.
        scores: score of each point.
        left_out: indices of points to ignore.

    Example:
        >>> front([1, 2, 3, 4], [5, 7, 6, 8])
        [0, 1, 3]
        >>> front([1, 1, 2], [5, 6, 6])
        [1]
    """
    best, chosen = -math.inf, []
    for i in sorted(set(range(len(costs))) - set(left_out), key=lambda i: (costs[i], -scores[i])):
        if scores[i] > best:
            best = scores[i]
            chosen.append(i)
    return chosen


def cost_axis(
    costs: Sequence[float], text: Callable[[float], str], units: Sequence[float]
) -> tuple[list[float], dict[str, Any]]:
    """Return the positions of costs on an axis, and the ticks of the axis.

    Args:
        costs: non-negative costs.
        text: formats a cost.
        units: sizes of the cost's units in descending order.

    Example:
        >>> places, ticks = cost_axis([0.0, 1000.0, 100_000.0], str, BYTES)
        >>> places, ticks["ticktext"]
        ([2.0, 3.0, 5.0], ['0', '1000.0', '10000.0', '100000.0'])
        >>> places, ticks = cost_axis([200.0, 500.0], str, SECONDS)
        >>> places, ticks["tickvals"]
        ([200.0, 500.0], [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0, 420.0, 480.0])
        >>> cost_axis([103.0, 107.0], str, SECONDS)[1]["tickvals"]
        [103.0, 107.0]
    """
    some = [cost for cost in costs if cost > 0]
    if not some or max(some) < 10 * min(some):
        top = max(some, default=1.0)
        size = next((size for size in units if size <= top), units[-1])
        step = size * _round_step(top / size / 10)
        ticks = [step * n for n in range(int(top / step) + 1)]
        if sum(tick >= min(costs, default=0.0) for tick in ticks) < 2:  # no ticks between close costs
            ticks = sorted({min(costs, default=0.0), top})
        return list(costs), {"tickvals": ticks, "ticktext": [text(tick) if tick else "0" for tick in ticks]}
    least, most = math.floor(math.log10(min(some))), math.ceil(math.log10(max(some)))
    places = [math.log10(cost) if cost > 0 else least - 1.0 for cost in costs]
    decades = list(range(least, most + 1))
    zero = [least - 1] if len(some) < len(costs) else []
    names = ["0"] * len(zero) + [text(10.0**decade) for decade in decades]
    return places, {"tickvals": [*zero, *decades], "ticktext": names}


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, … (and of 0.1, 0.2, 0.5) that is not below ``least``."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= least * 0.999)
