"""The score of every domain over the stream."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from matplotlib.colors import same_color

from lifelong.evaluation.plots import curves as module_curves
from lifelong.evaluation.plots.curves import MAX_CURVES
from lifelong.evaluation.plots.style import MARKERS
from tests.evaluation.plots.figures import (
    averages_of,
    curves,
    draw,
    lines_of,
    matrix_of,
)


def test_of_many_domains_some_are_drawn() -> None:
    matrix = matrix_of(300, 300)
    matrix[np.arange(300) % 10 != 9] = np.nan
    axes = curves(matrix).axes[0]
    assert len(lines_of(axes, "learnt")) == MAX_CURVES
    (average,) = lines_of(axes, "average")
    assert np.asarray(average.get_xdata()).tolist() == list(range(10, 301, 10))


def test_a_line_is_solid_from_where_its_domain_was_learnt() -> None:
    matrix = matrix_of(4, 4)
    axes = curves(matrix).axes[0]
    learnt = lines_of(axes, "learnt")
    assert len(learnt) == 4
    for j, line in enumerate(learnt):
        np.testing.assert_allclose(line.get_xdata(), np.arange(j + 1, 5))
        np.testing.assert_allclose(line.get_ydata(), 100 * matrix[j:, j])
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [len(line.get_xdata()) for line in dotted] == [2, 3, 4]  # up to the row where it was learnt
    assert all(same_color(d.get_color(), s.get_color()) for d, s in zip(dotted, learnt[1:], strict=True))


def test_average_is_over_the_domains_learnt_so_far() -> None:
    matrix = matrix_of(4, 4)
    (average,) = lines_of(curves(matrix).axes[0], "average")
    np.testing.assert_allclose(average.get_ydata(), [100 * matrix[i, : i + 1].mean() for i in range(4)])
    assert average.get_linewidth() > 2
    assert same_color(average.get_color(), "black")


def test_unfinished_stream_draws_the_domains_to_come_dotted() -> None:
    axes = curves(matrix_of(2, 4)).axes[0]
    assert [len(line.get_xdata()) for line in lines_of(axes, "learnt")] == [2, 1, 0, 0]
    assert [len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ":"] == [2, 2, 2]


def test_intervals_are_bands_and_optional() -> None:
    matrix = matrix_of(4, 4)
    axes = curves(matrix).axes[0]
    assert len(axes.collections) == 1 + 3  # of the average and of each domain but the last, which is one point
    band = axes.collections[1].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [(98 * matrix[:, 0]).min(), (102 * matrix[:, 0]).max()])
    draw(curves(matrix, widths=False))


@pytest.mark.parametrize("joint", [True, False])
def test_single_row_is_drawn_as_points_side_by_side(joint: bool) -> None:
    matrix = matrix_of(1, 5)
    axes = curves(matrix, joint=joint).axes[0]
    (average,) = lines_of(axes, "average")
    points = [p for p in axes.lines if p is not average and p.get_marker() in MARKERS[:5] and len(p.get_xdata())]
    places = [float(np.asarray(point.get_xdata())[0]) for point in points]
    places.append(float(np.asarray(average.get_xdata())[0]))
    assert len(places) == 6
    assert np.diff(sorted(places)).min() > 0.1
    expected = 100 * averages_of(matrix, None, joint)[0].value
    assert np.asarray(average.get_ydata())[0] == pytest.approx(expected)
    hollow = [p for p in points if same_color(p.get_markerfacecolor(), "white")]
    assert len(hollow) == (0 if joint else 4)


def test_legend_is_outside_and_tells_twelve_domains_apart() -> None:
    figure = curves(matrix_of(12, 12))
    axes = figure.axes[0]
    canvas = draw(figure)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent(canvas.get_renderer()).x0 > axes.get_window_extent().x1
    assert [text.get_text() for text in legend.get_texts()][:3] == [
        "average of learnt",
        "Latin 0",
        "Old Church S…rillic) 1",
    ]
    looks = {(line.get_color(), line.get_marker()) for line in lines_of(axes, "learnt")}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 12


def test_thirteen_domains_share_a_colour_scale() -> None:
    figure = curves(matrix_of(13, 13))
    assert figure.axes[1].get_ylabel() == "domain, in the order of the stream"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["average of learnt"]
    assert len(figure.axes[0].collections) == 1  # the band of the average


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_curves)
    assert result.attempted >= 5
    assert result.failed == 0
