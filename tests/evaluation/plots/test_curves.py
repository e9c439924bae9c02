"""The score of every domain over the stream."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb

from lifelong.evaluation.plots import curves as module_curves
from lifelong.evaluation.plots.curves import FAINT, MAX_CURVES, MAX_NAMED_TICKS
from lifelong.evaluation.plots.style import MARKERS, label
from tests.evaluation.plots.figures import (
    averages_of,
    curves,
    draw,
    ends_of,
    lines_of,
    matrix_of,
    names_of,
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


def test_up_to_six_domains_stand_in_a_legend_outside() -> None:
    figure = curves(matrix_of(6, 6))
    axes = figure.axes[0]
    canvas = draw(figure)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent(canvas.get_renderer()).x0 > axes.get_window_extent().x1
    names = [text.get_text() for text in legend.get_texts()]
    assert names[:3] == ["average of learnt", "Latin 0", "Old Church S…rillic) 1"]
    assert len(names) == 7
    assert not ends_of(axes)


@pytest.mark.parametrize("n_domains", [7, 12, 16, 50])
def test_more_are_named_at_the_ends_of_their_curves(n_domains: int) -> None:
    matrix = matrix_of(n_domains, n_domains)
    figure = curves(matrix)
    axes, ends = figure.axes[0], ends_of(figure.axes[0])
    assert len(figure.axes) == 1
    assert axes.get_legend() is None
    average, *domains = ends
    assert average.get_text() == "average of learnt"
    assert average.get_fontweight() == "bold"
    assert [end.get_text() for end in domains] == [label(name) for name in names_of(n_domains)]
    np.testing.assert_allclose([end.xy for end in domains], [(n_domains, 100 * score) for score in matrix[-1]])
    # From top to bottom they stand in the order in which the curves end.
    assert np.argsort([end.xyann[1] for end in ends]).tolist() == np.argsort([end.xy[1] for end in ends]).tolist()
    for end, line in zip(domains, lines_of(axes, "learnt"), strict=True):
        assert end.arrow_patch is not None
        assert same_color(end.arrow_patch.get_edgecolor()[:3], to_rgb(line.get_color()))


def test_up_to_twelve_domains_have_a_colour_and_a_marker_each() -> None:
    looks = {(line.get_color(), line.get_marker()) for line in lines_of(curves(matrix_of(12, 12)).axes[0], "learnt")}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 12


def test_beyond_fifty_domains_share_a_colour_scale() -> None:
    figure = curves(matrix_of(51, 51))
    assert figure.axes[1].get_ylabel() == "domain, in the order of the stream"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["average of learnt"]
    assert not ends_of(figure.axes[0])
    assert len(figure.axes[0].collections) == 1  # the band of the average


def test_what_is_learnt_lies_above_what_is_not_and_that_is_faint() -> None:
    axes = curves(matrix_of(3, 8)).axes[0]
    learnt, unlearnt = lines_of(axes, "learnt"), lines_of(axes, "unlearnt")
    (average,) = lines_of(axes, "average")
    assert len(unlearnt) == 7
    assert max(line.get_zorder() for line in unlearnt) < min(line.get_zorder() for line in learnt)
    assert max(line.get_zorder() for line in learnt) < average.get_zorder()
    assert {line.get_alpha() for line in unlearnt} == {FAINT}
    assert {line.get_alpha() for line in learnt} == {None}
    faint = [same_color(end.get_color(), "0.5") for end in ends_of(axes)[1:]]
    assert faint == [False] * 3 + [True] * 5


@pytest.mark.parametrize("n_rows", [2, 5, 16, 31, 50, 137, 400])
def test_experiences_are_numbered_by_whole_numbers(n_rows: int) -> None:
    figure = curves(matrix_of(n_rows, 2))
    draw(figure)
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert len(shown) >= 2
    assert all(tick == round(tick) and 1 <= tick <= n_rows for tick in shown)
    if n_rows <= MAX_NAMED_TICKS:
        assert shown == list(range(1, n_rows + 1))


def test_the_points_of_a_single_row_are_named_below() -> None:
    axes = curves(matrix_of(1, 8)).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["average", *(label(n) for n in names_of(8))]
    assert axes.get_xlabel() == "after Latin 0"
    assert axes.get_legend() is None


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_curves)
    assert result.attempted >= 3
    assert result.failed == 0
