"""The accuracy matrix as a heat map."""

from __future__ import annotations

import doctest
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import Rectangle

from lifelong.evaluation.plots import heat_map as module_heat_map
from lifelong.evaluation.plots.style import label
from tests.evaluation.plots.figures import (
    TITLE,
    averages_of,
    cell_colours,
    draw,
    heat_map,
    matrix_of,
    names_of,
)


def test_heat_map_names_rows_columns_scale_and_title() -> None:
    figure = heat_map(matrix_of(4, 4))
    axes, scale = figure.axes
    shown = ["Latin 0", "Old Church S…rillic) 1", "Japanese_(katakana) 2", "Mkhedruli_(Georgian) 3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == shown
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"after {name}" for name in shown]
    assert scale.get_ylabel() == "accuracy (%)"
    assert figure.get_suptitle().replace("\n", " ") == TITLE


def test_heat_map_has_a_number_and_an_interval_in_each_cell() -> None:
    matrix = np.array([[0.5, 0.25], [0.75, 1.0]])
    texts = [text.get_text() for text in heat_map(matrix).axes[0].texts]
    assert texts == ["50.0", "±1.0", "25.0", "±0.5", "75.0", "±1.5", "100.0", "±2.0"]
    plain = [text.get_text() for text in heat_map(matrix, widths=False, percent=False).axes[0].texts]
    assert plain == ["0.500", "0.250", "0.750", "1.000"]


@pytest.mark.parametrize(("n_domains", "n_texts"), [(10, 200), (11, 121), (20, 400), (21, 0)])
def test_heat_map_drops_what_could_not_be_read(n_domains: int, n_texts: int) -> None:
    assert len(heat_map(matrix_of(n_domains, n_domains)).axes[0].texts) == n_texts


def test_numbers_stand_out_against_their_cells() -> None:
    axes = heat_map(np.linspace(0, 1, 64).reshape(8, 8), widths=False).axes[0]
    colours = cell_colours(axes)
    for text in axes.texts:
        j, i = text.get_position()
        luminance = colours[int(i), int(j), :3] @ [0.2126, 0.7152, 0.0722]
        assert same_color(text.get_color(), "white" if luminance < 0.5 else "black")
    assert len({text.get_color() for text in axes.texts}) == 2


def test_domains_not_learnt_yet_are_paler() -> None:
    matrix = np.full((3, 3), 0.7)
    colours = cell_colours(heat_map(matrix).axes[0])[..., :3]
    upper = np.triu(np.ones((3, 3), dtype=bool), k=1)
    assert colours[upper].min() > 0.7
    assert colours[~upper].min(-1).max() < 0.3  # every one of them, the diagonal included
    joint = cell_colours(heat_map(matrix[:1], joint=True).axes[0])[..., :3]
    assert np.allclose(joint, joint[0, 0])


def test_cells_that_were_not_evaluated_are_hatched() -> None:
    matrix = np.where(np.tri(4) > 0, matrix_of(4, 4), np.nan)
    figure = heat_map(matrix)
    axes = figure.axes[0]
    hatched = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert sorted((int(p.get_y() + 0.5), int(p.get_x() + 0.5)) for p in hatched) == list(combinations(range(4), 2))
    assert len(axes.texts) == 2 * 10
    draw(figure)


def test_heat_map_grows_with_the_matrix() -> None:
    sizes = [heat_map(matrix_of(n, n)).get_size_inches() for n in (4, 10, 16, 45)]
    assert all((small < large).all() for small, large in pairwise(sizes))


def test_large_heat_maps_leave_out_rows_that_are_not_whole() -> None:
    matrix = matrix_of(200, 200)
    matrix[np.arange(200) % 50 != 49] = np.nan
    figure = heat_map(matrix)
    assert (figure.get_size_inches() < 17).all()
    axes = figure.axes[0]
    assert cell_colours(axes).shape[:2] == (4, 200)
    assert not axes.patches
    assert [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()] == [
        f"after {label(names_of(200)[i])}" for i in (49, 99, 149, 199)
    ]


@pytest.mark.parametrize(("n_domains", "n_numbers"), [(1, 1), (5, 5), (16, 16), (50, 50), (130, 0)])
def test_the_average_is_a_column_behind_a_gap(n_domains: int, n_numbers: int) -> None:
    matrix = matrix_of(n_domains, n_domains)
    figure, without = heat_map(matrix, averaged=True), heat_map(matrix)
    axes = figure.axes[0]
    cells, column = axes.images
    left, right, bottom, top = column.get_extent()
    assert cells.get_extent()[1] < left < right == axes.get_xlim()[1]
    assert (bottom, top) == axes.get_ylim() == (n_domains - 0.5, -0.5)
    assert axes.get_xticklabels()[-1].get_text() == "average"
    assert left < axes.get_xticks()[-1] < right
    numbers = [text for text in axes.texts if left < text.get_position()[0] < right]
    assert len(numbers) == n_numbers
    expected = [f"{100 * average.value:.1f}" for average in averages_of(matrix, None)]
    bold = [text.get_text() for text in numbers if text.get_fontweight() == "bold"]
    assert bold == (expected if n_numbers else [])
    assert figure.get_figwidth() > without.get_figwidth()
    assert len(without.axes[0].images) == 1


def test_a_row_that_is_not_whole_has_no_average() -> None:
    matrix = matrix_of(3, 3)
    matrix[1, 0] = np.nan
    axes = heat_map(matrix, averaged=True).axes[0]
    colours = np.asarray(axes.images[1].get_array(), dtype=float)
    assert (colours[1] == 1).all()
    assert colours[[0, 2], 0, :3].min() < 0.9
    assert "nan" not in {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, -3.0])
def test_constant_scores_have_a_colour_scale(value: float) -> None:
    scale = heat_map(np.full((2, 2), value), percent=False).axes[1]
    low, high = scale.get_ylim()
    assert low < value < high


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_heat_map)
    assert result.attempted >= 2
    assert result.failed == 0
