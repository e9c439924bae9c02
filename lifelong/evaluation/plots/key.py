"""Identifying curves: a legend for a few, names at the ends of more, a colour scale for very many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lifelong.evaluation.estimate import Array
from lifelong.evaluation.plots.style import COLOURS, INCH_PER_LETTER, LEGEND, MARKERS, Colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_IN_LEGEND = 6  # curves beyond which an eye would go back and forth
MAX_MARKED = len(MARKERS)  # curves beyond which colours could not be told apart
MAX_LABELLED = 50  # curves beyond which their names would not fit
LABEL_INCHES = 0.135
"""From one name to the next."""
AVERAGE_WIDTH = 2.8


@dataclass(frozen=True)
class End:
    """Store the end point and the name of a curve.

    Args:
        name: name of the curve.
        x: x coordinate of its last point; NaN if it has none.
        y: y coordinate of its last point; NaN if it has none.
        colour: colour of the curve.
        faint: whether its domain is not learnt.
    """

    name: str
    x: float
    y: float
    colour: Colour
    faint: bool = False


def line_styles(n_lines: int) -> list[tuple[Colour, str]]:
    """Return a colour and a marker for each curve; many curves have colours in order and no markers.

    Example:
        >>> line_styles(2)
        [('#0072B2', 'o'), ('#D55E00', 's')]
    """
    from matplotlib import colormaps

    if n_lines <= MAX_MARKED:
        return list(zip(COLOURS[:n_lines], MARKERS[:n_lines], strict=True))
    # Not to the end of the scale, whose yellow is hard to see on white.
    return [(colormaps["viridis"](0.88 * j / (n_lines - 1)), "") for j in range(n_lines)]


def line_width(n_lines: int) -> float:
    """Return the width of each curve in points; many curves are thinner, so that the average stands out.

    Example:
        >>> line_width(5), line_width(50)
        (1.4, 0.7)
    """
    return 1.4 if n_lines <= MAX_MARKED else max(1.4 * (MAX_MARKED / n_lines) ** 0.5, 0.7)


def key_inches(names: Sequence[str], average_name: str = "average of learnt") -> tuple[float, float]:
    """Return the width of the key next to the axes, and the height of the axes that it requires.

    Args:
        names: names of the curves.
        average_name: name of the average; empty if none is drawn.
    """
    if len(names) > MAX_LABELLED:
        return 1.0, 0.0
    width = max(len(average_name), *map(len, names)) * INCH_PER_LETTER
    return width + 0.6, (len(names) + 1) * LABEL_INCHES if len(names) > MAX_IN_LEGEND else 0.0


def add_key(axes: Axes, ends: Sequence[End], average: End | None, inches: float, n_curves: int) -> None:
    """Add the key that identifies the curves, after all are drawn.

    Args:
        axes: the axes with the curves.
        ends: end points of the drawn curves, in the order of the stream.
        average: end point of the average; None if none is drawn.
        inches: lower bound of the height of the axes.
        n_curves: number of curves, including those left out.
    """
    if n_curves > MAX_LABELLED:
        _add_scale(axes, n_curves, average)
    elif len(ends) > MAX_IN_LEGEND:
        _label_ends(axes, [*([] if average is None else [average]), *ends], inches)
    else:
        _add_legend(axes, ends, average)


def spread(targets: Array, gap: float) -> Array:
    """Return positions from 0 to 1, at least a gap apart, in the order of the targets and as close to them as possible.

    The sum of squared distances is minimised: without the gaps this is an isotonic regression, by its minimax formula.

    Args:
        targets: preferred positions ``(n,)``.
        gap: minimum distance of neighbours; reduced if there is no room.

    Reference:
        Barlow, Bartholomew, Bremner & Brunk (1972), Statistical Inference under Order Restrictions.

    Example:
        >>> spread(np.array([0.5, 0.5, 0.9]), 0.2).round(2).tolist()
        [0.4, 0.6, 0.9]
    """
    n = len(targets)
    if n < 2:
        return targets.clip(0, 1)
    order, steps = np.argsort(targets, kind="stable"), min(gap, 1 / (n - 1)) * np.arange(n)
    sums = np.concatenate([[0.0], np.cumsum(targets[order] - steps)])
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums[None, 1:] - sums[:-1, None]) / (np.arange(1, n + 1) - np.arange(n)[:, None])  # of i to j
    level = np.array([means[: k + 1, k:].min(1).max() for k in range(n)])
    places = np.empty(n)
    places[order] = level.clip(0, 1 - steps[-1]) + steps
    return places


def _label_ends(axes: Axes, ends: Sequence[End], inches: float) -> None:
    """Write each name next to the end of its curve, connected by a thin line if they are apart."""
    from matplotlib.transforms import ScaledTranslation

    axes.set_ylim(axes.get_ylim())  # as it is, whatever is written
    known = [end for end in ends if np.isfinite(end.y)]
    if not known:
        return
    heights = axes.transAxes.inverted().transform(axes.transData.transform([(end.x, end.y) for end in known]))[:, 1]
    beside = axes.transAxes + ScaledTranslation(0.22, 0, axes.figure.dpi_scale_trans)
    for end, place in zip(known, spread(heights, LABEL_INCHES / inches), strict=True):
        is_average = end is ends[0] and end.colour == "black"
        axes.annotate(
            end.name,
            (end.x, end.y),
            (1, place),
            textcoords=beside,
            annotation_clip=False,
            va="center",
            fontsize=7.5,
            fontweight="bold" if is_average else "normal",
            color="0.5" if end.faint else "black",
            zorder=4,
            gid="end",
            arrowprops={
                "arrowstyle": "-",
                "color": end.colour,
                "linewidth": 0.8,
                "alpha": 0.4 if end.faint else 0.9,
                "patchA": None,  # from the middle of the name's left side, however steep the line is
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 0,
            },
        )


def _add_legend(axes: Axes, ends: Sequence[End], average: End | None) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=end.colour, marker=marker, markersize=4.5)
        for end, (_, marker) in zip(ends, line_styles(len(ends)), strict=True)
    ]
    names = [end.name for end in ends]
    if average is not None:
        lines, names = [Line2D([], [], color="black", linewidth=AVERAGE_WIDTH), *lines], [average.name, *names]
    legend = axes.legend(lines, list(map(str, range(len(names)))), loc="upper left", bbox_to_anchor=(1.01, 1), **LEGEND)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)  # afterwards, because a legend leaves out names with a leading underscore


def _add_scale(axes: Axes, n_lines: int, average: End | None) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    if average is not None:
        line = Line2D([], [], color="black", linewidth=AVERAGE_WIDTH)
        axes.legend([line], [average.name], loc="lower right", bbox_to_anchor=(1, 1), **LEGEND)
    colours = ListedColormap([colour for colour, _ in line_styles(n_lines)])
    scale = ScalarMappable(Normalize(0.5, n_lines + 0.5), colours)
    label = "domain, in the order of the stream"
    axes.figure.colorbar(scale, ax=axes, pad=0.02, label=label, ticks=MaxNLocator(integer=True))
