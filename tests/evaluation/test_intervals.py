"""Intervals by Student's t: known quantiles, formulas by hand, and how often they hold the truth."""

import doctest

import numpy as np
import pytest

from lifelong.evaluation import intervals
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.intervals import interval, linear, mean_and_variance, ragged, sum_of_means, t_quantile

KNOWN = {1: 12.7062047364, 2: 4.3026527297, 4: 2.7764451052, 9: 2.2621571628, 24: 2.0638985616, 99: 1.9842169516}
KNOWN |= {599: 1.9639322490, 10**6: 1.9599663568}
"""By the regularised incomplete beta function of mpmath."""


def noisy(n_rows: int, n_domains: int, n_tasks: int = 50) -> Array:
    return np.random.default_rng(0).random((n_rows, n_domains, n_tasks))


def value_of(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def width_of(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.half_width


@pytest.mark.parametrize(("degrees", "quantile"), KNOWN.items())
def test_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert float(t_quantile(degrees)) == pytest.approx(quantile, abs=1e-8)


def test_quantiles_fall_between_those_of_whole_degrees() -> None:
    quantiles = t_quantile(np.linspace(1, 50, 200))
    assert (np.diff(quantiles) < 0).all()
    assert float(t_quantile(1e12)) == pytest.approx(1.959963985, abs=1e-8)


def test_a_single_task_has_no_interval() -> None:
    mean, half_width = interval(np.array([[0.5], [0.25]]))
    assert mean.tolist() == [0.5, 0.25]
    assert np.isnan(half_width).all()
    assert np.isnan(width_of(linear(np.ones((1, 2, 1)), np.ones((1, 2)))))
    assert Estimate(0.5, float(half_width[0])).text(1) == "0.5 ± n/a"


def test_a_single_task_leaves_other_domains_their_interval() -> None:
    scores = ragged([np.array([0.5]), np.array([0.25, 0.75])])
    half_width = interval(scores)[1]
    assert np.isnan(half_width).tolist() == [True, False]
    assert np.isnan(width_of(linear(scores[None], np.ones((1, 2)))))
    assert width_of(linear(scores[None], np.array([[0.0, 1.0]]))) == pytest.approx(half_width[1])


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert interval(np.full((2, 5), 0.3))[1] == pytest.approx(0.0, abs=1e-12)
    assert width_of(linear(np.ones((1, 3, 5)), np.ones((1, 3)))) == 0.0


def test_interval_against_the_formula() -> None:
    scores = noisy(2, 3, n_tasks=7)
    mean, half_width = interval(scores)
    assert mean.shape == half_width.shape == (2, 3)
    tasks = [float(s) for s in scores[1, 2]]
    expected = sum(tasks) / 7
    variance = sum((s - expected) ** 2 for s in tasks) / 6
    assert mean[1, 2] == pytest.approx(expected)
    assert half_width[1, 2] == pytest.approx(2.4469119 * (variance / 7) ** 0.5)


def test_interval_without_tasks() -> None:
    with pytest.raises(ValueError, match="no evaluation task"):
        interval(np.zeros((2, 2, 0)))


@pytest.mark.parametrize("n_tasks", [2, 3, 5, 10, 25, 100])
def test_intervals_hold_the_truth_as_often_as_they_say(n_tasks: int) -> None:
    rng = np.random.default_rng(1)
    mean, half_width = interval(rng.normal(0.5, 0.2, (20_000, n_tasks)))
    # The standard error of the share is 0.15 %; 1.96 in the place of t holds it in 70, 81, 88, 92, 94 and 95 %.
    assert np.mean(np.abs(mean - 0.5) < half_width) == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize("deviations", [(0.2, 0.2, 0.2, 0.2), (0.4, 0.1, 0.1, 0.1)])
@pytest.mark.parametrize("n_tasks", [3, 5, 10])
def test_intervals_of_sums_hold_the_truth(n_tasks: int, deviations: tuple[float, ...]) -> None:
    rng = np.random.default_rng(2)
    n_held, n_trials = 0, 4000
    for _ in range(n_trials):
        scores = rng.normal(0.5, np.array(deviations)[:, None], (4, n_tasks))
        total = sum_of_means(*mean_and_variance(scores))
        n_held += abs(total.value - 2.0) < total.half_width
    # Welch and Satterthwaite is an approximation, on the safe side for the smallest samples.
    assert 0.935 < n_held / n_trials < 0.985


def test_linear_against_loops() -> None:
    scores = noisy(3, 4, n_tasks=6)
    coefficients = np.random.default_rng(2).normal(size=(3, 4))
    value = variance = squares = 0.0
    for j in range(4):
        combined = [sum(coefficients[i, j] * scores[i, j, k] for i in range(3)) for k in range(6)]
        mean = sum(combined) / 6
        value += mean
        of_domain = sum((c - mean) ** 2 for c in combined) / 5 / 6
        variance, squares = variance + of_domain, squares + of_domain**2 / 5
    estimate = linear(scores, coefficients)
    assert value_of(estimate) == pytest.approx(value)
    assert width_of(estimate) == pytest.approx(t_quantile(variance**2 / squares) * variance**0.5)


def test_linear_does_not_look_at_cells_without_coefficient() -> None:
    scores = noisy(2, 2)
    scores[0, 1] = np.nan
    assert value_of(linear(scores, np.array([[1.0, 0.0], [0.0, 0.0]]))) == pytest.approx(scores[0, 0].mean())
    assert linear(scores, np.array([[1.0, 1e-9], [0.0, 0.0]])) is None


def test_paired_tasks_narrow_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.normal(0.7, 0.2, (1, 1, 300))  # of each task, the same in both rows
    scores = np.concatenate([difficulty + 0.1, difficulty]) + rng.normal(0, 0.02, (2, 1, 300))
    paired = width_of(linear(scores, np.array([[1.0], [-1.0]])))
    unpaired = float(np.sqrt((interval(scores)[1] ** 2).sum()))
    assert paired < unpaired / 5
    shuffled = np.stack([scores[0], scores[1][:, rng.permutation(300)]])
    assert width_of(linear(shuffled, np.array([[1.0], [-1.0]]))) == pytest.approx(unpaired, rel=0.15)


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(intervals)
    assert result.attempted >= 5
    assert result.failed == 0
