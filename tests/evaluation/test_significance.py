"""Bootstrap, sign flips and Holm: by hand, by laws, and as SciPy computes them."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
import scipy.stats

from lifelong.evaluation import significance
from lifelong.evaluation.estimate import Array
from lifelong.evaluation.intervals import t_quantile
from lifelong.evaluation.significance import (
    INTERVALS,
    bca_interval,
    corrected_share,
    holm,
    mean_difference,
    percentile_interval,
    sign_flip_test,
    t_interval,
)


def normal(*sizes: int, seed: int = 0, shift: float = 0.2) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(shift, 1, size=n) for n in sizes]


def right_and_wrong(*sizes: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=n) for n in sizes]


def test_domains_weigh_alike_whatever_their_size() -> None:
    assert mean_difference([np.ones(3), np.zeros(99)]) == 0.5


def test_t_interval_by_hand() -> None:
    of_units = np.array([1.0, 0.0, 0.5, 0.0])
    low, high = t_interval([of_units, np.zeros(4)])
    half_width = float(t_quantile(3)) * of_units.std(ddof=1) / 2 / 2
    assert (low + high) / 2 == pytest.approx(0.1875)
    assert (high - low) / 2 == pytest.approx(half_width)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_bootstrap_is_near_student_t_on_normal_data(kind: str) -> None:
    differences = normal(300, 200)
    low, high = INTERVALS[kind][1](differences, 9999, 0)  # type: ignore[index]
    expected = t_interval(differences)
    width = expected[1] - expected[0]
    assert low == pytest.approx(expected[0], abs=0.03 * width)
    assert high == pytest.approx(expected[1], abs=0.03 * width)


@pytest.mark.parametrize(("kind", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
@pytest.mark.parametrize("make", [normal, right_and_wrong])
def test_bootstrap_is_that_of_scipy(kind: str, theirs: str, make: object) -> None:
    (sample,) = make(60)  # type: ignore[operator]
    sample = np.exp(sample)  # skewed: bias and acceleration count
    expected = scipy.stats.bootstrap((sample,), np.mean, n_resamples=30_000, method=theirs, rng=1).confidence_interval
    low, high = INTERVALS[kind][1]([sample], 30_000, 0)  # type: ignore[index]
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.02 * width)
    assert high == pytest.approx(expected.high, abs=0.02 * width)


def test_beyond_its_pole_the_corrected_share_is_its_limit() -> None:
    # By hand: at z0 + z = 2 and a = 0.25 the formula is Φ(0.04 + 2 / (1 − 0.5)) = Φ(4.04).
    assert corrected_share(1.96, 0.04, 0.25) == pytest.approx(0.9999732736, abs=1e-9)
    for sign in (1, -1):
        shares = [corrected_share(sign * 1.96, sign * bias, sign / 6) for bias in np.linspace(3, 6, 301)]
        assert max(sign * share for share in shares) == max(sign * 0, sign * 1) == sign * shares[-1]
        assert (np.diff(np.multiply(shares, sign)) >= 0).all()  # without the limit it falls back to the other end
    assert corrected_share(1.96, 4.05, 0.25) == 1.0  # 1 − a (z0 + z) < 0
    assert corrected_share(-1.96, 1.96 - 4.0, -0.25) == 0.0  # and = 0


@pytest.mark.parametrize("n_resamples", [1, 2, 3, 99])
def test_bca_ends_are_resampled_means_in_order(n_resamples: int) -> None:
    rng = np.random.default_rng(n_resamples)
    for seed in range(60):
        n = int(rng.integers(1, 12))
        values = rng.choice([0.0, 1.0, -1.0, 1e3, 1e-9, 0.1], size=n) * float(rng.choice([1.0, 1e-170, 1e150]))
        means = significance._resampled([values], n_resamples, seed)
        low, high = bca_interval([values], n_resamples=n_resamples, seed=seed)
        assert min(means.min(), values.mean()) <= low <= high <= max(means.max(), values.mean())


def test_bca_is_the_same_in_any_unit() -> None:
    (values,) = normal(12)
    low, high = bca_interval([np.exp(values)])
    for unit in (2.0**-600, 2.0**500):
        assert bca_interval([np.exp(values) * unit]) == (low * unit, high * unit)


def test_few_values_are_resampled_as_many_are() -> None:
    few = np.repeat([1.0, 0.0], [10, 70])
    rng = np.random.default_rng(0)
    means = significance._resampled_means(few, 20_000, rng)  # by counts
    drawn = few[rng.integers(80, size=(20_000, 80))].mean(-1)
    assert means.mean() == pytest.approx(drawn.mean(), abs=2e-3)
    assert means.std() == pytest.approx(drawn.std(), rel=0.03)


def test_units_are_drawn_within_their_domain() -> None:
    apart = [np.full(5, 1.0), np.full(5, -1.0)]
    assert percentile_interval(apart) == bca_interval(apart) == (0.0, 0.0)


def test_a_seed_decides_the_draws() -> None:
    differences = normal(40)
    for function in (percentile_interval, bca_interval):
        assert function(differences, seed=3) == function(differences, seed=3) != function(differences, seed=4)
    assert sign_flip_test(differences, seed=3) == sign_flip_test(differences, seed=3)


def test_memory_is_bounded_without_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = normal(40, 30)
    whole = percentile_interval(differences), sign_flip_test(differences)
    monkeypatch.setattr(significance, "AT_ONCE", 1000)
    assert (percentile_interval(differences), sign_flip_test(differences)) == whole


def test_no_difference_has_p_1_and_no_width() -> None:
    nothing = [np.zeros(30), np.zeros(7)]
    assert sign_flip_test(nothing) == (1.0, True)
    for _, function in INTERVALS.values():
        assert function(nothing, 999, 0) == (0.0, 0.0)


def test_p_is_that_of_every_flip_counted() -> None:
    differences = [np.array([0.5, -0.25, 1.0, 0.0]), np.array([0.75, 0.5])]
    weighted = np.concatenate([d / len(d) for d in differences])
    sums = [abs(np.dot(signs, weighted)) for signs in itertools.product((-1, 1), repeat=6)]
    expected = np.mean([total >= abs(weighted.sum()) - 1e-12 for total in sums])
    assert sign_flip_test(differences) == (pytest.approx(expected), True)


def test_a_unit_weighs_more_in_a_small_domain() -> None:
    # Weights 1/2, -1/4 and 1/4: of the eight sums four are 1/2, as the one found, two are 1 and two are 0.
    assert sign_flip_test([np.array([1.0, 0.0]), np.array([-1.0, 1.0, 0.0, 0.0])]) == (0.75, True)


def test_p_is_that_of_scipy() -> None:
    few = normal(9, shift=0.6)[0]
    exact = scipy.stats.permutation_test(
        (few, np.zeros(9)), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", vectorized=True
    )
    assert sign_flip_test([few]) == (pytest.approx(exact.pvalue), True)
    many = right_and_wrong(120)[0]
    drawn = scipy.stats.permutation_test(
        (many, np.zeros(120)),
        lambda a, b, axis: (a - b).mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=30_000,
        rng=0,
    )
    p, is_exact = sign_flip_test([many], n_resamples=30_000)
    assert not is_exact
    assert p == pytest.approx(drawn.pvalue, abs=0.005)


def test_drawn_flips_are_near_all_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = normal(7, 6, shift=0.5)
    exact, _ = sign_flip_test(differences)
    monkeypatch.setattr(significance, "MOST_FLIPPED", 0)
    drawn, is_exact = sign_flip_test(differences, n_resamples=50_000)
    assert not is_exact
    assert drawn == pytest.approx(exact, abs=0.01)


def test_a_drawn_p_is_never_0() -> None:
    p, is_exact = sign_flip_test([np.ones(500)], n_resamples=99)
    assert (p, is_exact) == (0.01, False)


def test_p_does_not_depend_on_the_sign() -> None:
    differences = normal(12)
    assert sign_flip_test(differences) == sign_flip_test([-d for d in differences])


def test_p_values_of_no_difference_are_uniform() -> None:
    p = [sign_flip_test(normal(10, seed=seed, shift=0.0))[0] for seed in range(200)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_holm_keeps_the_order_and_never_helps() -> None:
    p = np.random.default_rng(0).random(30) ** 3
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(significance, extraglobs={"np": np}).failed == 0
