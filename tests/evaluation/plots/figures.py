"""Figures of made-up matrices, and what is drawn in them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.plots import accuracy_matrix_figure, forgetting_curves_figure

TITLE = "prototypical network + replay: accuracy on 5-way 5-shot test tasks"
LONG_NAMES = ["Latin", "Old Church Slavonic (Cyrillic)", "Japanese_(katakana)", "Mkhedruli_(Georgian)"]


def names_of(n: int) -> list[str]:
    return [f"{LONG_NAMES[i % 4]} {i}" for i in range(n)]


def matrix_of(n_rows: int, n_domains: int) -> Array:
    return np.random.default_rng(0).uniform(0.4, 1.0, (n_rows, n_domains))


def averages_of(matrix: Array, half_widths: Array | None, joint: bool = False) -> list[Estimate]:
    """Averages over the domains learnt so far, which are independent."""
    widths = np.full_like(matrix, np.nan) if half_widths is None else half_widths
    n_learnt = [matrix.shape[1] if joint else i + 1 for i in range(len(matrix))]
    return [
        Estimate(float(row[:n].mean()), float(np.sqrt((width[:n] ** 2).sum()) / n))
        for row, width, n in zip(matrix, widths, n_learnt, strict=True)
    ]


def heat_map(
    matrix: Array, *, joint: bool = False, widths: bool = True, percent: bool = True, averaged: bool = False
) -> Figure:
    rows, columns = names_of(len(matrix)), names_of(matrix.shape[1])
    half_widths = matrix / 50 if widths else None
    return accuracy_matrix_figure(
        matrix,
        half_widths,
        rows,
        columns,
        title=TITLE,
        score_name="accuracy",
        percent=percent,
        joint=joint,
        averages=averages_of(matrix, half_widths, joint) if averaged else None,
    )


def averaged_heat_map(matrix: Array, *, joint: bool = False) -> Figure:
    return heat_map(matrix, joint=joint, averaged=True)


def curves(matrix: Array, *, joint: bool = False, widths: bool = True) -> Figure:
    rows, columns = names_of(len(matrix)), names_of(matrix.shape[1])
    half_widths = matrix / 50 if widths else None
    averages = averages_of(matrix, half_widths, joint)
    return forgetting_curves_figure(
        matrix, half_widths, rows, columns, averages, title=TITLE, score_name="accuracy", percent=True, joint=joint
    )


def draw(figure: Figure) -> FigureCanvasAgg:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def tick_labels(axes: Axes) -> list[Text]:
    """Those that are drawn: an axis also keeps ticks beyond its limits."""
    labels = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        labels += [
            t for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high for t in (tick.label1, tick.label2)
        ]
    return labels


def visible_texts(figure: Figure) -> list[Text]:
    ticks = {
        id(t)
        for axes in figure.axes
        for tick in axes.xaxis.get_major_ticks() + axes.yaxis.get_major_ticks()
        for t in (tick.label1, tick.label2)
    }
    others = [t for t in figure.findobj(Text) if id(t) not in ticks]
    drawn = others + [label for axes in figure.axes for label in tick_labels(axes)]
    return [t for t in drawn if isinstance(t, Text) and t.get_visible() and t.get_text().strip()]


def boxes_of(figure: Figure) -> list[Bbox]:
    """Where the visible texts are drawn, without the lines that lead to some."""
    renderer = draw(figure).get_renderer()
    return [Text.get_window_extent(text, renderer) for text in visible_texts(figure)]


def ends_of(axes: Axes) -> list[Annotation]:
    """The names at the ends of curves."""
    return [text for text in axes.texts if isinstance(text, Annotation) and text.get_gid() == "end"]


def overlapping(boxes: list[Bbox]) -> int:
    # Half a pixel: boxes that touch are no overlap.
    shrunk = [Bbox.from_extents(b.x0 + 0.5, b.y0 + 0.5, b.x1 - 0.5, b.y1 - 0.5) for b in boxes]
    return sum(a.overlaps(b) for a, b in combinations(shrunk, 2))


def cell_colours(axes: Axes) -> Array:
    return np.asarray(axes.images[0].get_array(), dtype=float)


def lines_of(axes: Axes, gid: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_gid() == gid]
