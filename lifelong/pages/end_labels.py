"""Names at the ends of curves, which do not cover each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.pages.view import LABEL, label

MOST_LABELLED = 20
PIXELS = 14
"""Height of a name."""


def end_labels(
    ends: Mapping[int, float],
    names: Sequence[str],
    low: float,
    high: float,
    layout: Mapping[str, Any],
    colours: Sequence[str] | None,
    length: int = LABEL,
) -> list[dict[str, Any]]:
    """Return names for the ends of curves, moved apart where they would cover each other.

    Of more than can be read, those of the lowest and of the highest curves are named; the others where one points.

    Args:
        ends: the last value of each curve, by its number.
        names: of all curves.
        low: end of the axis.
        high: end of the axis.
        layout: of the figure.
        colours: of the curves; None where they share one.
        length: characters of a name.
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
    """Move places apart, as little as it takes from below and then from above.

    Args:
        wanted: places in ascending order.
        gap: least distance of neighbours.
        room: the last place is no further than this, unless they do not fit.

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
