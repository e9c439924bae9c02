"""Paired differences between methods on the same evaluation units, after the last experience, averaged over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lifelong.evaluation.comparability import obstacles, unfinished
from lifelong.evaluation.compared import Difference, Method, Procedure
from lifelong.evaluation.estimate import Array
from lifelong.evaluation.intervals import unpadded
from lifelong.evaluation.results import Results
from lifelong.evaluation.significance import INTERVALS, holm, mean_difference, sign_flip_test


def paired_difference(method: Method, reference: Method, procedure: Procedure | None = None) -> Difference:
    """Compute how much better a method is than another, with interval and p value over evaluation units.

    For each unit (a task or an example), the difference of the scores after the last experience is averaged over the
    seeds that both methods have. The mean of these differences over units and domains is the difference of the average
    scores. The interval covers the random draw of units; the trained runs are treated as fixed.

    Units of different domains are treated as independent, because results do not record which units are the same
    example, and each domain has its own order. If domains share test examples (such as permuted or rotated ones), the
    interval is too narrow.

    Args:
        method: one or more runs of a method.
        reference: the runs of the method that it is compared with.
        procedure: interval, number of resamples and seed.

    Returns:
        The difference; if there is none, a reason instead of numbers.
    """
    procedure = procedure or Procedure()
    if reason := why_not(method, reference):
        return Difference(method.label, reference.label, reason=reason)
    seeds = shared_seeds(method, reference)
    first, second = (_of_seeds(of, seeds) for of in (method, reference))
    differences = unit_differences(first, second)
    if not all(np.isfinite(of_domain).all() for of_domain in differences):
        return Difference(method.label, reference.label, reason="scores missing or not finite")
    low, high = INTERVALS[procedure.interval][1](differences, procedure.n_resamples, procedure.seed)
    p, exact = sign_flip_test(differences, n_resamples=procedure.n_resamples, seed=procedure.seed)
    return Difference(
        method.label,
        reference.label,
        value=mean_difference(differences),
        low=low,
        high=high,
        p=p,
        adjusted_p=p,
        exact=exact,
        n_units=sum(len(of_domain) for of_domain in differences),
        seeds=tuple(seeds),
    )


def unit_differences(first: Sequence[Results], second: Sequence[Results]) -> list[Array]:
    """Compute the differences of the units in the last row, averaged over seeds: ``(n_j,)`` for each learnt domain.

    Args:
        first: runs of a method, one for each seed.
        second: runs of another method, in the same order of seeds.

    Raises:
        ValueError: when the numbers of runs differ, or the runs do not have the same units.

    Example:
        >>> from lifelong.evaluation.setting import Setting
        >>> a, b = (Results(Setting(("a",), ("a",)), {"score": [np.array([row])]}) for row in ([1.0, 1], [0.0, 1]))
        >>> unit_differences([a], [b])
        [array([1., 0.])]
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"found {len(first)} runs to compare with {len(second)}: give one of each for each seed")
    n_learnt = len(first[0].domains) - first[0].setting.n_unseen
    rows = [[unpadded(d) for d in run.scores()[-1][:n_learnt]] for run in (*first, *second)]
    sizes = [[len(of_domain) for of_domain in row] for row in rows]
    if other := next((of_run for of_run in sizes if of_run != sizes[0]), None):
        raise ValueError(f"runs were not judged on the same units: domains have {sizes[0]} and {other}")
    of_seeds = list(zip(rows[: len(first)], rows[len(first) :], strict=True))
    with np.errstate(invalid="ignore"):  # inf − inf of a diverged learner
        return [np.mean([one[d] - other[d] for one, other in of_seeds], axis=0) for d in range(n_learnt)]


def corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct p values for multiple comparisons by Holm's method; differences with a reason do not count.

    Example:
        >>> [d.adjusted_p for d in corrected([Difference("a", "c", p=0.01), Difference("b", "c", p=0.5)])]
        [0.02, 0.5]
    """
    adjusted = iter(holm([d.p for d in differences if not d.reason]))
    return tuple(d if d.reason else replace(d, adjusted_p=next(adjusted)) for d in differences)


def shared_seeds(method: Method, reference: Method) -> list[int | None]:
    """Return the seeds for which both methods have a run, in order."""
    return [seed for seed in method.seeds if seed in reference.seeds]


def why_not(method: Method, reference: Method) -> str:
    """Return a short reason why two methods have no paired difference; empty if they have one."""
    of_reference = reference.runs[0]
    for run in (*method.runs, *reference.runs):
        if found := obstacles(run, of_reference):
            return found[0].short
    for run in (*method.runs, *reference.runs):
        if unfinished(run):
            return "unfinished"
        if "score" not in run.rows:
            return "no scores.npz"
    for seeds in (method.seeds, reference.seeds):
        if len(set(seeds)) < len(seeds):
            return "seeds unknown" if None in seeds else "a seed twice"
    return "" if shared_seeds(method, reference) else "no seed in common"


def _of_seeds(method: Method, seeds: Sequence[int | None]) -> list[Results]:
    return [method.runs[method.seeds.index(seed)] for seed in seeds]
