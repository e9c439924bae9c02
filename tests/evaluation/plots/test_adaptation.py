"""The score of every domain over inner steps."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from lifelong.evaluation.plots import adaptation as module_adaptation
from lifelong.evaluation.plots import adaptation_curve_figure
from tests.evaluation.plots.figures import boxes_of, ends_of, matrix_of, names_of, overlapping


@pytest.mark.parametrize("n_domains", [2, 7, 20])
def test_curves_over_steps_are_named_without_overlap(n_domains: int) -> None:
    scores = matrix_of(n_domains, 6)
    figure = adaptation_curve_figure(
        scores, scores / 50, names_of(n_domains), title="test", score_name="accuracy", percent=True
    )
    ends = ends_of(figure.axes[0])
    assert len(ends) == (n_domains + 1 if n_domains > 6 else 0)
    np.testing.assert_allclose([end.xy for end in ends[1:]], [(5, 100 * s) for s in scores[:, -1]] if ends else [])
    assert overlapping(boxes_of(figure)) == 0


@pytest.mark.parametrize("n_steps", [1, 2, 5, 40])
def test_steps_are_numbered_by_whole_numbers(n_steps: int) -> None:
    axes = adaptation_curve_figure(
        matrix_of(2, n_steps + 1), None, ["a", "b"], title="test", score_name="accuracy", percent=True
    ).axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert len(shown) >= 2
    assert all(tick == round(tick) for tick in shown)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_adaptation)
    assert result.attempted >= 2
    assert result.failed == 0
