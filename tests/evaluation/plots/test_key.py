"""Telling curves apart."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.evaluation.plots import key as module_key
from lifelong.evaluation.plots.key import spread

PLACES = st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=50)


@given(PLACES, st.floats(0.001, 0.2))
def test_places_are_a_gap_apart_in_order_and_inside(targets: list[float], gap: float) -> None:
    wanted = np.array(targets)
    places = spread(wanted, gap)
    assert places.min() >= -1e-9
    assert places.max() <= 1 + 1e-9
    least = min(gap, 1 / max(len(wanted) - 1, 1))
    assert np.diff(np.sort(places)).min(initial=1.0) >= least - 1e-9
    assert (np.diff(places[np.argsort(wanted, kind="stable")]) > 0).all()


def test_places_with_room_stay_where_they_are() -> None:
    wanted = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread(wanted, 0.2), wanted)


@pytest.mark.parametrize("seed", range(5))
def test_places_are_the_nearest_in_the_sum_of_squares(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng, gap, n = np.random.default_rng(seed), 0.08, 9
    wanted = np.sort(rng.uniform(0.3, 0.6, n))
    apart = [{"type": "ineq", "fun": lambda p, i=i: p[i + 1] - p[i] - gap} for i in range(n - 1)]
    best = optimize.minimize(
        lambda p: ((p - wanted) ** 2).sum(), np.linspace(0, 1, n), bounds=[(0, 1)] * n, constraints=apart
    )
    np.testing.assert_allclose(spread(wanted, gap), best.x, atol=1e-4)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_key)
    assert result.attempted >= 3
    assert result.failed == 0
