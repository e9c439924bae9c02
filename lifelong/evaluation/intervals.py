"""Means over evaluation tasks with 95 % confidence intervals by Student's t, paired where tasks are shared.

Shapes: ``T`` rows (experiences), ``D`` domains, ``n`` tasks of a domain. Where domains have different numbers of tasks
the scores are a masked array, with the missing ones at the end masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lifelong.evaluation.estimate import Array, Estimate

Scores = Array
"""Scores of evaluation units; the last axis runs over units."""
Row = list[Scores]
"""The scores ``(units,)`` of each domain; domains may have different numbers of units."""

LEVEL = 0.95
"""Confidence level: the proportion of intervals that contain the true mean."""

ma: Any = np.ma
"""Masked arrays, for domains with fewer units than others; untyped, as numpy does not annotate all of them."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def t_quantile(degrees: ArrayLike) -> Array:
    """Compute the two-sided 95 % quantile of Student's t for each number of degrees of freedom, 1 or more.

    With ``t = √ν tan θ`` the probability between ``-t`` and ``t`` is
    ``2 Γ((ν+1)/2) / (√π Γ(ν/2)) · ∫₀^θ cos(φ)^(ν-1) dφ``. The integrand is smooth, so Gauss quadrature is exact to
    machine precision. The probability is concave in ``θ``, so Newton's method converges to the quantile from below.
    (SciPy provides this quantile too, but is not needed for anything else here.)

    Args:
        degrees: degrees of freedom ``ν``, any shape; NaN gives NaN.

    Example:
        >>> t_quantile([1, 4, 9, 99]).round(4).tolist()
        [12.7062, 2.7764, 2.2622, 1.9842]
    """
    nu = np.asarray(degrees, dtype=float)
    factor = 2 / math.sqrt(math.pi) * np.reshape([_gamma_ratio(v) for v in nu.flat], nu.shape)
    theta = np.arctan(1.9 / np.sqrt(nu))  # below every quantile
    for _ in range(12):
        share = factor * theta / 2 * (_density(theta[..., None] * (NODES + 1) / 2, nu[..., None]) @ WEIGHTS)
        theta = theta + (LEVEL - share) / (factor * _density(theta, nu))
    quantile: Array = np.sqrt(nu) * np.tan(theta)
    return quantile


def interval(scores: Array) -> tuple[Array, Array]:
    """Compute the mean over tasks and half the length of its 95 % confidence interval.

    The half width is ``t · σ / √n`` with the sample standard deviation (``ddof=1``) over the ``n`` tasks of the last
    axis and Student's ``t`` with ``n − 1`` degrees of freedom, so intervals keep their coverage for few tasks.

    Args:
        scores: ``(..., n)``.

    Returns:
        The mean and the half width, both ``(...)``; the half width is NaN for a single task.

    Raises:
        ValueError: when there are no tasks.

    Example:
        >>> mean, half_width = interval(np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]))
        >>> mean.tolist(), half_width.round(3).tolist()
        ([0.5, 1.0], [0.919, 0.0])
    """
    mean, variance, degrees = mean_and_variance(scores)
    return mean, _quantiles(degrees) * np.sqrt(variance)


def mean_and_variance(scores: Array) -> tuple[Array, Array, Array]:
    """Compute the mean over tasks, the variance of that mean, and its degrees of freedom, each ``(...)``.

    Args:
        scores: ``(..., n)``.

    Raises:
        ValueError: when there are no tasks.
    """
    scores = np.asanyarray(scores, dtype=float)
    n_tasks = np.asarray(ma.count(scores, axis=-1))
    if np.any(n_tasks == 0):
        raise ValueError("there is no evaluation task to average over: ask for one or more per domain")
    # The variance is NaN for infinite scores of a diverged learner and for a single task.
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = plain(scores.mean(-1))
        if scores.shape[-1] == 1:
            return mean, np.full(mean.shape, np.nan), n_tasks - 1.0
        return mean, plain(scores.var(-1, ddof=1)) / n_tasks, n_tasks - 1.0


def sum_of_means(means: Array, variances: Array, degrees: Array) -> Estimate:
    """Add independent means; the sum has the degrees of freedom of Welch and Satterthwaite.

    ``ν = (Σ v_j)² / Σ (v_j² / ν_j)``, which is between the smallest ``ν_j`` and the sum of all ``ν_j``.

    Args:
        means: ``(k,)`` means.
        variances: ``(k,)`` variances of the means.
        degrees: ``(k,)`` degrees of freedom of the variances.

    Reference:
        Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 1946.

    Example:
        >>> print(sum_of_means(np.array([0.25, 0.5]), np.array([0.01, 0.01]), np.array([4.0, 4.0])))
        0.750 ± 0.326
    """
    variance = variances.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        # Computed with relative variances, because the square of a small variance may underflow.
        nu = 1 / ((variances / variance) ** 2 / degrees).sum() if variance > 0 else degrees.min()
    half_width = _quantiles(np.asarray(nu)) * np.sqrt(variance)
    return Estimate(float(means.sum()), float(half_width))


def linear(scores: Array, coefficients: Array) -> Estimate | None:
    """Compute a linear function of the accuracy matrix, with the interval that is exact for paired tasks.

    The function is ``Σ_ij C[i,j] · R[i,j]``. All rows are evaluated on the same tasks, so rows are combined task by
    task before the variance is computed: ``v_j = Σ_i C[i,j] · scores[i,j,:]``. Domains have different tasks, so their
    variances add: ``half width = t · √(Σ_j var(v_j) / n_j)``, with the degrees of freedom of :func:`sum_of_means`.

    Args:
        scores: ``(T, D, n)``.
        coefficients: ``(T, D)`` coefficients ``C``; cells with coefficient 0 are ignored and may be NaN.

    Returns:
        The estimate, or None if a cell that it needs was not evaluated.

    Example:
        The gain of the second row over the first, which is the same for every task:

        >>> scores = np.array([[[0.2, 0.4, 0.6]], [[0.45, 0.65, 0.85]]])
        >>> print(linear(scores, np.array([[-1.0], [1.0]])))
        0.250 ± 0.000
    """
    # A metric needs few cells, and the matrix of a long stream has millions: read only these.
    rows, columns = np.nonzero(coefficients)
    cells = scores[rows, columns]
    if not evaluated(cells).all():
        return None
    used, place = np.unique(columns, return_inverse=True)
    per_task: Any = np.zeros((len(used), scores.shape[-1]))
    if ma.isMaskedArray(scores):
        per_task = ma.array(per_task, mask=ma.getmaskarray(scores)[0, used])
    with np.errstate(invalid="ignore"):  # inf − inf of a diverged learner
        np.add.at(ma.getdata(per_task), place, ma.getdata(cells) * coefficients[rows, columns][:, None])
    return sum_of_means(*mean_and_variance(per_task))


def evaluated(scores: Array) -> np.ndarray:
    """Return for each cell ``(...)`` of scores ``(..., n)`` whether any task was evaluated."""
    return np.asarray(~ma.filled(np.isnan(scores), True).all(-1))


def plain(values: Array) -> Array:
    """Convert a masked array to an ordinary one, with NaN for masked values."""
    return ma.filled(values, np.nan)  # type: ignore[no-any-return]


def ragged(domains: Sequence[Scores]) -> Scores:
    """Stack scores ``(…, n_j)`` of each domain to ``(D, …, n)``, masked at the end where a domain has fewer."""
    longest = max(scores.shape[-1] for scores in domains)
    if all(scores.shape[-1] == longest for scores in domains):
        return np.stack(domains)
    rows: Any = ma.masked_all((len(domains), *domains[0].shape[:-1], longest))
    for row, scores in zip(rows, domains, strict=True):
        row[..., : scores.shape[-1]] = scores
    return rows  # type: ignore[no-any-return]


def stacked(rows: Sequence[Scores]) -> Scores:
    """Stack rows ``(D, n)`` to ``(T, D, n)``; masks are kept."""
    stack = ma.stack if any(ma.isMaskedArray(row) for row in rows) else np.stack
    return stack(rows)


def unpadded(scores: Scores) -> Scores:
    """Return the scores ``(n_j,)`` of one domain without the padding that :func:`ragged` added."""
    return ma.compressed(scores)  # type: ignore[no-any-return]


def _quantiles(degrees: Array) -> Array:
    """Compute the quantile of each, repeated values only once; NaN without a degree of freedom."""
    different, place = np.unique(degrees, return_inverse=True)
    quantiles = np.full(different.shape, np.nan)
    known = different >= 1 - 1e-9
    quantiles[known] = t_quantile(np.maximum(different[known], 1.0))
    return quantiles[place].reshape(np.shape(degrees))


def _gamma_ratio(nu: float) -> float:
    """Compute ``Γ((ν+1)/2) / Γ(ν/2)``; for large ``ν`` by a series, because logarithms would lose digits."""
    if nu > 1e5:
        return math.sqrt(nu / 2) * (1 - 1 / (4 * nu))
    return math.exp(math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2))


def _density(angle: Array, nu: Array) -> Array:
    """Compute ``cos(φ)^(ν-1)`` accurately, also for small angles and large powers."""
    density: Array = np.exp((nu - 1) / 2 * np.log1p(-(np.sin(angle) ** 2)))
    return density
