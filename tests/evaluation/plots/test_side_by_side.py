"""Heat map and curves in one figure."""

from __future__ import annotations

import doctest

import pytest

from lifelong.evaluation.plots import results_figure
from lifelong.evaluation.plots import side_by_side as module_side
from tests.evaluation.plots.figures import (
    TITLE,
    averages_of,
    boxes_of,
    matrix_of,
    names_of,
    overlapping,
)


@pytest.mark.parametrize(("n_rows", "n_domains"), [(1, 1), (3, 3), (2, 13), (2, 51)])
def test_both_parts_are_drawn_and_nothing_overlaps(n_rows: int, n_domains: int) -> None:
    matrix = matrix_of(n_rows, n_domains)
    averages = averages_of(matrix, None)
    names = names_of(n_domains)
    figure = results_figure(matrix, None, names, names, averages, title=TITLE, score_name="accuracy", percent=True)
    assert figure.axes[0].images
    assert [len(part.axes) for part in figure.subfigs] == [2, 1 + (n_domains > 50)]
    assert overlapping(boxes_of(figure)) == 0
    assert figure.get_suptitle().replace("\n", " ") == TITLE


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_side)
    assert result.attempted >= 3
    assert result.failed == 0
