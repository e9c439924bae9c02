"""The common style of all figures: colours, names and titles for matplotlib, and atomic writing of files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lifelong.evaluation.tables import shorten
from lifelong.utilities.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

Colour: TypeAlias = str | tuple[float, float, float, float]

# Paul Tol's and Okabe-Ito's hues, dark enough to be read on white and apart for colour-blind readers with the markers.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#882255", "#999933", "#332288", "#777777", "#AA4499", "#117733",
)  # fmt: skip
MARKERS = "osD^vPX<>ph*"
LEGEND: dict[str, Any] = {"fontsize": 8.5, "frameon": False, "borderaxespad": 0.2}
TICK_INCHES = 0.16
"""Room of a name."""
INCH_PER_LETTER = 0.085
"""At the size of tick labels and titles, with a little air."""


def make_figure(size: tuple[float, float]) -> Figure:
    """Make an empty figure, without pyplot, that notebooks display as an image.

    Args:
        size: width and height in inches.

    Example:
        >>> make_figure((1.0, 1.0))._repr_png_()[1:4]
        b'PNG'
    """
    from lifelong.evaluation.plots.picture import Picture

    return Picture(figsize=size, layout="constrained")


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically, then clear it.

    Args:
        figure: the figure; it is cleared afterwards.
        path: path with the ending of the format: ``.png``, ``.pdf``, ``.svg``; missing folders are created.

    Raises:
        ValueError: when matplotlib does not know the format.
    """
    suffix = Path(path).suffix.lstrip(".") or "png"
    try:
        write_whole(path, lambda part: figure.savefig(part, format=suffix, dpi=150))
    finally:
        figure.clear()


def label(name: str) -> str:
    """Shorten a name, and escape dollar signs, which matplotlib would read as a formula."""
    return shorten(name).replace("$", r"\$")


def with_unit(score_name: str, percent: bool) -> str:
    """Return the name of the score with its unit."""
    return f"{score_name} (%)" if percent else score_name


def title_above(figure: FigureBase, title: str, inches: float | None = None) -> None:
    """Set a title above a whole figure, broken into as many lines as its width requires.

    Args:
        figure: a figure, or a part of one.
        title: may be empty.
        inches: width of the part. If None, the width of the figure.
    """
    if title:
        width = figure.get_figwidth() if inches is None else inches  # type: ignore[attr-defined]
        figure.suptitle("\n".join(title_lines(title, width)), fontsize=11)


def title_lines(title: str, inches: float) -> list[str]:
    """Break a title into lines of a given width; existing line breaks are kept."""
    width = max(int(inches / (1.15 * INCH_PER_LETTER)), 10)
    return [part for line in title.replace("$", r"\$").splitlines() for part in textwrap.wrap(line, width)]


def integers_along(axes: Axes) -> None:
    """Use only integers as ticks of the horizontal axis, at round distances."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
