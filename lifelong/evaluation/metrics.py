"""Metrics of continual learning: pure functions of the scores of fixed evaluation tasks, each with its 95 % interval.

Shapes in all functions of this file:

* ``T`` rows: row ``i`` contains the scores after training on experience ``i`` (a joint run has a single row);
* ``D`` domains: column ``j`` is the domain of experience ``j``;
* ``n`` tasks: the same tasks in every row, so differences between rows are paired.

``R = scores.mean(-1)`` is the accuracy matrix. Higher scores are better: errors are negated. If all tasks of a cell are
NaN, the cell was not evaluated, and a metric that needs it is not available (``None``). If some tasks of a cell are
NaN, the learner diverged, and the metric is NaN. If domains have different numbers of tasks, the scores are a masked
array, with the missing tasks masked at the end.
"""

from __future__ import annotations

import numpy as np

from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.intervals import evaluated, linear, ma, mean_and_variance, plain, sum_of_means

METRICS = ("average_score", "learning_score", "forgetting", "backward_transfer", "forward_transfer")


def average_score(scores: Array) -> Estimate | None:
    """Compute the score after the last experience, averaged over the domains: ``1/D · Σ_j R[T-1,j]``.

    Args:
        scores: ``(T, D, n)``; ``T`` may differ from ``D`` (joint training).

    Reference:
        Average accuracy, Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017.

    Example:
        >>> average_score(np.array([[[0.9], [0.3]], [[0.6], [0.8]]])).value
        0.7
    """
    coefficients = np.zeros(scores.shape[:2])
    coefficients[-1] = 1 / scores.shape[1]
    return linear(scores, coefficients)


def learning_score(scores: Array) -> Estimate | None:
    """Compute the score of each domain right after it was learnt, averaged (plasticity): ``1/T · Σ_i R[i,i]``.

    Args:
        scores: ``(T, T, n)``; None is returned for any other shape, which has no full diagonal.

    Reference:
        Learning accuracy, Riemer et al., "Learning to Learn without Forgetting", ICLR 2019.

    Example:
        >>> round(learning_score(np.array([[[0.9], [0.3]], [[0.6], [0.8]]])).value, 3)
        0.85
    """
    if not _is_square(scores):
        return None
    return linear(scores, np.eye(len(scores)) / len(scores))


def forgetting(scores: Array) -> Estimate | None:
    """Compute the best earlier score of each domain minus its last, averaged over all domains but the last.

    ``1/(T-1) · Σ_{j<T-1} ( max_{i<T-1} R[i,j] − R[T-1,j] )``, with rows and columns counted from 0. As in the paper,
    the maximum is over ALL rows before the last, including those before domain ``j`` was learnt. Lower is better; the
    value is negative if the last row is the best.

    Differences from the paper: the interval treats the row of the maximum as fixed (the maximum over noisy means is
    biased upwards, more so with fewer tasks); rows in which a domain was not evaluated are left out of its maximum.

    Args:
        scores: ``(T, T, n)`` with ``T ≥ 2``, else None.

    Reference:
        Chaudhry et al., "Riemannian Walk for Incremental Learning: Understanding Forgetting and Intransigence",
        ECCV 2018.

    Example:
        >>> round(forgetting(np.array([[[0.9], [0.3]], [[0.6], [0.8]]])).value, 3)
        0.3
    """
    if not _is_square(scores) or len(scores) == 1:
        return None
    n_earlier = len(scores) - 1
    # argmax treats NaN as the largest value, so a diverged row makes the metric NaN instead of being skipped.
    earlier = np.where(evaluated(scores), plain(scores.mean(-1)), -np.inf)[:-1, :-1]
    coefficients = np.zeros(scores.shape[:2])
    coefficients[earlier.argmax(0), np.arange(n_earlier)] = 1 / n_earlier
    coefficients[-1, :-1] = -1 / n_earlier
    return linear(scores, coefficients)


def backward_transfer(scores: Array) -> Estimate | None:
    """Compute the last score of each domain minus that right after it was learnt, averaged over all but the last.

    ``1/(T-1) · Σ_{j<T-1} ( R[T-1,j] − R[j,j] )``. Higher is better; negative values indicate forgetting.

    Args:
        scores: ``(T, T, n)`` with ``T ≥ 2``, else None.

    Reference:
        Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017.

    Example:
        >>> round(backward_transfer(np.array([[[0.9], [0.3]], [[0.6], [0.8]]])).value, 3)
        -0.3
    """
    if not _is_square(scores) or len(scores) == 1:
        return None
    n_earlier = len(scores) - 1
    coefficients = np.zeros(scores.shape[:2])
    coefficients[np.arange(n_earlier), np.arange(n_earlier)] = -1 / n_earlier
    coefficients[-1, :-1] = 1 / n_earlier
    return linear(scores, coefficients)


def unseen_score(scores: Array, n_unseen: int) -> Estimate | None:
    """Compute the average score after the last experience on domains that are never learnt.

    ``1/U · Σ_{j≥D-U} R[T-1,j]``.

    Args:
        scores: ``(T, D, n)``.
        n_unseen: number ``U`` of unseen domains, which are the last columns; with 0 the score is None.

    Example:
        >>> unseen_score(np.array([[[0.9], [0.3]], [[0.6], [0.8]]]), 1).value
        0.8
    """
    if n_unseen == 0:
        return None
    coefficients = np.zeros(scores.shape[:2])
    coefficients[-1, -n_unseen:] = 1 / n_unseen
    return linear(scores, coefficients)


def forward_transfer(scores: Array, untrained: Array | None) -> Estimate | None:
    """Compute the score of each domain but the first right before it is learnt, minus the untrained learner's.

    ``1/(T-1) · Σ_{j≥1} ( R[j-1,j] − b_j )``. Higher is better.

    Args:
        scores: ``(T, T, n)`` with ``T ≥ 2``, else None.
        untrained: ``(T, n)`` scores of the untrained learner on the same tasks, with means ``b_j``; None if they carry
            no information, as for the outputs of classes that have not been trained yet.

    Reference:
        Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017.

    Example:
        >>> scores = np.array([[[0.9], [0.3]], [[0.6], [0.8]]])
        >>> round(forward_transfer(scores, untrained=np.array([[0.2], [0.2]])).value, 3)
        0.1
    """
    if untrained is None or not _is_square(scores) or len(scores) == 1:
        return None
    n_later = len(scores) - 1
    rows = ma.concatenate([untrained[None], scores])  # row j is now the one right before experience j
    coefficients = np.zeros(rows.shape[:2])
    coefficients[0, 1:] = -1 / n_later
    coefficients[np.arange(1, n_later + 1), np.arange(1, n_later + 1)] = 1 / n_later
    return linear(rows, coefficients)


def summary(
    scores: Array, untrained: Array | None = None, *, joint: bool = False, disjoint: bool = False, n_unseen: int = 0
) -> dict[str, Estimate | None]:
    """Compute all metrics by name, of a finished run or of the experiences so far.

    After ``T`` of ``D`` experiences, the metrics are those of a stream of the first ``T`` domains. A joint run learns
    all domains in one row, so its average is over all domains, and the other metrics of the stream are not available.
    Unseen domains are scored separately, by ``unseen_score``.

    Args:
        scores: ``(T, D, n)`` with ``1 ≤ T ≤ D − n_unseen``; ``T = 1`` for a joint run.
        untrained: ``(D, n)`` scores of the untrained learner on the same tasks, or None.
        joint: whether the single row was trained on all domains at once.
        disjoint: whether no class occurs in two experiences. Then forward transfer is not available, because the
            outputs of an experience's classes are untrained before it, whatever the method.
        n_unseen: number of unseen domains, which are the last columns.

    Raises:
        ValueError: when the numbers of rows and domains do not match.

    Example:
        >>> scores = np.array([[[0.9, 0.7, 0.8], [0.3, 0.3, 0.3]], [[0.6, 0.6, 0.6], [0.8, 1.0, 0.9]]])
        >>> for name, estimate in summary(scores).items():
        ...     print(f"{name:18} {estimate}")
        average_score      0.750 ± 0.124
        learning_score     0.850 ± 0.113
        forgetting         0.200 ± 0.248
        backward_transfer  -0.200 ± 0.248
        forward_transfer   None
    """
    unseen = {"unseen_score": unseen_score(scores, n_unseen)} if n_unseen else {}
    scores = scores[:, : scores.shape[1] - n_unseen]
    _check(scores, joint)
    if joint:
        return {name: average_score(scores) if name == "average_score" else None for name in METRICS} | unseen
    n_learnt = len(scores)
    scores = scores[:, :n_learnt]
    before = None if untrained is None or disjoint else untrained[:n_learnt]
    return {
        "average_score": average_score(scores),
        "learning_score": learning_score(scores),
        "forgetting": forgetting(scores),
        "backward_transfer": backward_transfer(scores),
        "forward_transfer": forward_transfer(scores, before),
        **unseen,
    }


def row_averages(scores: Array, *, joint: bool = False, n_unseen: int = 0) -> list[Estimate]:
    """Compute the average of every row over the domains that were learnt by then.

    Args:
        scores: ``(T, D, n)``.
        joint: whether all domains are learnt in the only row.
        n_unseen: number of unseen domains, which are the last columns.

    Returns:
        ``T`` estimates; NaN for a row in which one of these domains was not evaluated.

    Example:
        >>> [e.value for e in row_averages(np.array([[[1.0], [0.0]], [[0.5], [1.0]]]))]
        [1.0, 0.75]
    """
    averages = []
    for i, row in enumerate(scores):
        n_learnt = len(row) - n_unseen if joint else i + 1
        learnt = sum_of_means(*mean_and_variance(row[:n_learnt]))
        averages.append(learnt.scaled(1 / n_learnt))
    return averages


def reasons(
    scores: Array, untrained: Array | None = None, *, joint: bool = False, disjoint: bool = False, n_unseen: int = 0
) -> dict[str, str]:
    """Return the reason why a metric is not available, for each metric that :func:`summary` returns as None.

    Args:
        scores: ``(T, D, n)``, as for :func:`summary`.
        untrained: ``(D, n)`` or None.
        joint: as for :func:`summary`.
        disjoint: as for :func:`summary`.
        n_unseen: as for :func:`summary`.

    Example:
        >>> reasons(np.ones((1, 1, 4)), np.zeros((1, 4)))["forgetting"]
        'needs two experiences or more'
    """
    estimates = summary(scores, untrained, joint=joint, disjoint=disjoint, n_unseen=n_unseen)
    missing = [name for name, estimate in estimates.items() if estimate is None]
    return {name: _reason(name, len(scores), untrained is None, joint, disjoint) for name in missing}


def _reason(name: str, n_rows: int, no_untrained: bool, joint: bool, disjoint: bool) -> str:
    if joint and name != "average_score":
        return "all domains are learnt at once"
    if name == "forward_transfer" and disjoint:
        return "the classes of the experiences are disjoint"
    if name == "forward_transfer" and no_untrained:
        return "no score of the untrained learner"
    if n_rows == 1 and name not in ("average_score", "learning_score"):
        return "needs two experiences or more"
    return "needs scores that were not evaluated"


def _check(scores: Array, joint: bool) -> None:
    if scores.ndim != 3 or 0 in scores.shape:
        raise ValueError(f"scores are (rows, domains, tasks) with one or more of each, found shape {scores.shape}")
    n_rows, n_domains, _ = scores.shape
    if joint and n_rows != 1:
        raise ValueError(f"a joint run has one row of scores, found {n_rows}: pass joint=False for a stream")
    if n_rows > n_domains:
        raise ValueError(f"found {n_rows} rows of scores for {n_domains} domains: give at most one row per domain")


def _is_square(scores: Array) -> bool:
    n_rows, n_domains, _ = scores.shape
    return bool(n_rows == n_domains)
