"""Significance of paired differences: bootstrap intervals, sign-flip permutation tests, Holm's correction.

Every function takes the differences of units as one array ``(n_j,)`` for each of ``D`` domains. The statistic is
``1/D · Σ_j mean(differences_j)``: domains have equal weight, as in the average score, and units are resampled within
their domain. (SciPy has these tests for one sample only; domains of unequal size are several samples.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from lifelong.evaluation.compared import IntervalKind
from lifelong.evaluation.estimate import Array
from lifelong.evaluation.intervals import LEVEL, mean_and_variance, ragged, sum_of_means

Differences = Sequence[Array]
"""The differences of units ``(n_j,)``, for each domain."""

MOST_FLIPPED = 14
"""Maximum number of units for which all sign flips are counted (2¹⁴ flips); for more units, flips are sampled."""
AT_ONCE = 1 << 22
"""Maximum number of values drawn at once, to limit memory."""
ROUNDING = 1e-9
"""Relative tolerance, in mean absolute differences, for rounding errors of sums in a different order."""


def mean_difference(differences: Differences) -> float:
    """Compute the mean over units and domains.

    Example:
        >>> mean_difference([np.array([1.0, 0.0]), np.array([0.0, 0.0, 0.0])])
        0.25
    """
    return float(np.mean([of_domain.mean() for of_domain in differences]))


def t_interval(differences: Differences) -> tuple[float, float]:
    """Compute the 95 % interval by Student's t, with the degrees of freedom of Welch and Satterthwaite.

    Example:
        >>> low, high = t_interval([np.array([1.0, 0.0, 0.5, 0.0])])
        >>> round(low, 3), round(high, 3)
        (-0.387, 1.137)
    """
    estimate = sum_of_means(*mean_and_variance(ragged(list(differences)))).scaled(1 / len(differences))
    return estimate.value - estimate.half_width, estimate.value + estimate.half_width


def percentile_interval(differences: Differences, *, n_resamples: int = 9999, seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % interval between the 2.5 % and 97.5 % quantiles of means of bootstrap resamples.

    Args:
        differences: differences ``(n_j,)`` of each domain.
        n_resamples: number of resamples; each draws ``n_j`` units of each domain with replacement.
        seed: random seed.

    Reference:
        Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Example:
        >>> low, high = percentile_interval([np.array([1.0, 0.0, 1.0, 1.0])])
        >>> low, high
        (0.25, 1.0)
    """
    means = _resampled(differences, n_resamples, seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bca_interval(differences: Differences, *, n_resamples: int = 9999, seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % bootstrap interval corrected for bias and for skewness (BCa).

    The ends are the quantiles ``Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z)))`` of resampled means with ``z = ± 1.96``. Here
    ``Φ(z₀)`` is the share of resampled means below the mean (ties count half), and the acceleration
    ``a = Σ l³ / (6 (Σ l²)^1.5)`` is computed from the influences ``l = (d_ij − mean_j) / (D n_j)``. If all units of a
    domain are equal, the interval has width 0. For ``a (z₀ + z) ≥ 1``, beyond the pole of the formula, an end is the
    formula's limit: the largest or smallest resampled mean. (For means ``|a| < 1/6``, so this case needs nearly all of
    a million resamples on one side of the mean.)

    Args:
        differences: differences ``(n_j,)`` of each domain.
        n_resamples: number of resamples; each draws ``n_j`` units of each domain with replacement.
        seed: random seed.

    Reference:
        Efron, "Better Bootstrap Confidence Intervals", JASA 1987.

    Example:
        >>> bca_interval([np.full(5, 0.5)])
        (0.5, 0.5)
    """
    mean = mean_difference(differences)
    influence = np.concatenate([(d - d.mean()) / (len(differences) * len(d)) for d in differences])
    if not (largest := float(np.abs(influence).max())):
        return mean, mean
    influence /= largest  # squares and cubes of very small or large numbers would underflow or overflow
    means = _resampled(differences, n_resamples, seed)
    near = ROUNDING * float(np.abs(means).mean())
    share = float((means < mean - near).mean() + (means <= mean + near).mean()) / 2
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(share, 1 / (2 * n_resamples)), 1 - 1 / (2 * n_resamples)))
    skew = float((influence**3).sum()) / (6 * float((influence**2).sum()) ** 1.5)
    ends = [normal.inv_cdf(end) for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    low, high = np.quantile(means, [corrected_share(z, bias, skew) for z in ends])
    return float(low), float(high)


def corrected_share(z: float, bias: float, skew: float) -> float:
    """Compute the share of resampled means below an end of the BCa interval.

    Args:
        z: the end in standard deviations, such as ``−1.96``.
        bias: the bias correction ``z₀``.
        skew: the acceleration ``a``.

    Example:
        >>> round(corrected_share(-1.96, 0.0, 0.0), 4), corrected_share(1.96, 4.5, 0.16)
        (0.025, 1.0)
    """
    shifted = bias + z
    room = 1 - skew * shifted
    if room <= 0:
        return float(shifted > 0)
    return NormalDist().cdf(bias + shifted / room)


INTERVALS: dict[IntervalKind, tuple[str, Callable[[Differences, int, int], tuple[float, float]]]] = {
    "percentile": ("percentile bootstrap", lambda d, n, seed: percentile_interval(d, n_resamples=n, seed=seed)),
    "bca": ("BCa bootstrap", lambda d, n, seed: bca_interval(d, n_resamples=n, seed=seed)),
    "t": ("Student's t", lambda d, n, seed: t_interval(d)),
}
"""Intervals by name: a description, and the function of differences, number of resamples and seed."""


def sign_flip_test(differences: Differences, *, n_resamples: int = 9999, seed: int = 0) -> tuple[float, bool]:
    """Compute the two-sided p value of no difference between two methods by a sign-flip permutation test.

    Under the null hypothesis, the difference of a unit has either sign with equal probability. With ``m ≤ 14`` non-zero
    differences, ``p`` is the share of all ``2^m`` sign flips whose mean is at least as far from 0 as the observed mean.
    With more, flips are drawn at random, and ``p = (1 + as far) / (1 + drawn)``, where ``as far`` is the number of
    drawn flips whose mean is at least as far from 0.

    Args:
        differences: differences ``(n_j,)`` of each domain.
        n_resamples: number of sign flips to draw.
        seed: random seed.

    Returns:
        ``p``, and whether all flips were counted.

    Reference:
        Fisher, "The Design of Experiments", 1935, section 21; Phipson & Smyth, "Permutation P-values Should Never Be
        Zero", 2010, for adding 1 to both counts.

    Example:
        >>> sign_flip_test([np.array([1.0, 1.0, 1.0, 0.0])])
        (0.25, True)
    """
    weighted = np.concatenate([of_domain / len(of_domain) for of_domain in differences])
    weighted = weighted[weighted != 0]  # flipping the sign of 0 does not change the sum
    total = float(weighted.sum())
    least = abs(total) - ROUNDING * float(np.abs(weighted).sum())
    if len(weighted) <= MOST_FLIPPED:
        flips = np.array(list(itertools.product((-1.0, 1.0), repeat=len(weighted))))
        return float((np.abs(flips @ weighted) >= least).mean()), True
    rng, n_as_far = np.random.default_rng(seed), 0
    for n_drawn in _portions(n_resamples, len(weighted)):
        words = rng.integers(1 << 64, size=(n_drawn, -(-len(weighted) // 64)), dtype=np.uint64)
        kept = np.unpackbits(words.view(np.uint8), axis=1, count=len(weighted))  # a bit for each sign
        n_as_far += int((np.abs(2 * (kept @ weighted) - total) >= least).sum())
    return (1 + n_as_far) / (1 + n_resamples), False


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for multiple comparisons by Holm's method, which controls the family-wise error rate.

    The ``i``-th smallest of ``m`` p values (from 1) becomes ``min(1, max_{k ≤ i} (m − k + 1) · p_k)``.

    Reference:
        Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted.tolist()


def _resampled(differences: Differences, n_resamples: int, seed: int) -> Array:
    """Return the means ``(n_resamples,)`` of resampled units."""
    rng = np.random.default_rng(seed)
    means: Array = np.mean([_resampled_means(of_domain, n_resamples, rng) for of_domain in differences], axis=0)
    return means


def _resampled_means(values: Array, n_resamples: int, rng: np.random.Generator) -> Array:
    """Return the means ``(n_resamples,)`` of resamples of the values, drawn with replacement."""
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if 8 * len(distinct) < n:  # differences of 0-1 scores have few distinct values: draw their counts instead
        return rng.multinomial(n, counts / n, size=n_resamples) @ distinct / n
    portions = [values[rng.integers(n, size=(n_drawn, n))].mean(-1) for n_drawn in _portions(n_resamples, n)]
    return np.concatenate(portions)


def _portions(n_resamples: int, size: int) -> list[int]:
    """Divide resamples of ``size`` values into portions that fit into memory."""
    most = max(AT_ONCE // max(size, 1), 1)
    return [min(most, n_resamples - start) for start in range(0, n_resamples, most)]
