"""Names at the ends of curves, without overlaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.pages.view import LABEL, label

MOST_LABELLED = 20
PIXELS = 14
"""Height of a name in pixels."""


def end_labels(
    ends: Mapping[int, float],
    names: Sequence[str],
    low: float,
    high: float,
    layout: Mapping[str, Any],
    colours: Sequence[str] | None,
    length: int = LABEL,
) -> list[dict[str, Any]]:
    """Return names for the ends of curves, moved apart if they would overlap.

    If there are too many, only the lowest and the highest curves are named; the others are named under the pointer.

    Args:
        ends: last value of each curve, by the curve's index.
        names: names of all curves.
        low: lower end of the axis.
        high: upper end of the axis.
        layout: layout of the figure.
        colours: colours of the curves. None if all have one colour.
        length: largest number of characters of a name.
    """
    order = sorted(ends, key=lambda j: ends[j])
    if len(order) > MOST_LABELLED:
        order = [*order[: MOST_LABELLED // 4], *order[-MOST_LABELLED // 4 :]]
    pixels = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    places = apart([(ends[j] - low) / (high - low) * pixels for j in order], PIXELS, pixels)
    dots = ["" if colours is None else f"<span style='color:{colours[j]}'>●</span> " for j in order]
    return [
        {
            "text": f"{dot}{label(names[j], length)}",
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 6,
            "y": place / pixels,
            "yref": "paper",
            "yanchor": "middle",
            "showarrow": False,
            "font": {"size": 11},
        }
        for j, dot, place in zip(order, dots, places, strict=True)
    ]


def apart(wanted: Sequence[float], gap: float, room: float) -> list[float]:
    """Move positions apart as little as possible, first upwards, then downwards from the upper limit.

    Args:
        wanted: wanted positions in ascending order.
        gap: smallest distance of neighbours.
        room: upper limit of the last position, unless they do not fit.

    Example:
        >>> apart([0.0, 1.0, 50.0], 10, 100)
        [0.0, 10.0, 50.0]
        >>> apart([95.0, 99.0], 10.0, 100.0)
        [90.0, 100.0]
    """
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else place)
    ceiling = room
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places
