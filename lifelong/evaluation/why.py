"""Measures that tell why a learner forgets: pure functions of answers and scores.

Shapes: ``n`` examples or queries, ``N`` ways, ``K`` moments while an experience is learnt, ``D`` old domains, ``T``
experiences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.estimate import Array

LEAST_PROBABILITY = 1e-12
"""Smaller ones are taken for this: a learner in closed form gives a class that it has not met none at all."""


def divergence(before: Array, after: Array) -> Array:
    """Compute how far answers moved while an experience was learnt, on its own held-out inputs: ``KL(p ‖ q)``.

    ``KL(p ‖ q) = Σ_c p_c (log p_c − log q_c)`` of each answer, in nats, with ``p`` the answer before and ``q`` after.

    Args:
        before: ``(n, N)`` probabilities of the model before the experience.
        after: ``(n, N)`` of the model after it.

    Returns:
        ``(n,)``.

    Reference:
        Shenfeld, Pari & Agrawal, "RL's Razor: Why Online Reinforcement Learning Forgets Less", 2025, where it predicts
        how much is forgotten.

    Example:
        >>> divergence(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]])).tolist()
        [0.0]
        >>> divergence(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])).round(3).tolist()
        [0.511]
    """
    p, q = (np.maximum(answers, LEAST_PROBABILITY) for answers in (before, after))
    difference: Array = (before * (np.log(p) - np.log(q))).sum(-1)
    return difference


def stability_gap(scores: Array) -> float:
    """Compute how deep old domains fall while a new one is learnt: ``1/D Σ_j (A_j(0) − min_k A_j(k))``.

    Args:
        scores: ``(K, D)`` scores ``A_j(k)`` of the old domains, the first row before the first step.

    Reference:
        De Lange, van de Ven & Tuytelaars, "Continual evaluation for lifelong learning: Identifying the stability gap",
        ICLR 2023. Difference: theirs is seen in curves, and in the worst-case accuracy; this is the depth of the dip.

    Example:
        >>> round(stability_gap(np.array([[0.9, 0.8], [0.4, 0.7], [0.85, 0.8]])), 3)
        0.3
    """
    return float((scores[0] - scores.min(0)).mean())


def worst_case_accuracy(lowest: Sequence[float], newest: float) -> float:
    """Compute WC-ACC: ``1/t A_t + (1 − 1/t) · min-ACC`` with ``min-ACC = 1/(t−1) Σ_{j<t} min_k A_j(k)``.

    Args:
        lowest: for each of the ``t − 1`` old domains its lowest score at any moment since it was learnt.
        newest: ``A_t``, the score of the domain learnt last.

    Reference:
        De Lange, van de Ven & Tuytelaars, ICLR 2023.

    Example:
        >>> round(worst_case_accuracy([0.4, 0.7], newest=0.9), 3)
        0.667
    """
    return (sum(lowest) + newest) / (len(lowest) + 1)


def recency_bias(answered: Sequence[NDArray[np.int64]]) -> float:
    """Compute the share of old domains' examples that are given a class of the newest experience.

    ``1/(t−1) Σ_{j<t} 1/n_j Σ_i [the answer to example i of domain j is a class of experience t]``: 0 for a learner
    without bias, 1 for one that knows nothing else; half of two balanced domains would be chance.

    Args:
        answered: for each of the ``t`` domains so far, the last one the newest, the experiences ``(n_j,)`` whose class
            was the answer to its examples.

    Reference:
        The bias to recent tasks of Masana et al., "Class-Incremental Learning: Survey and Performance Evaluation on
        Image Classification", TPAMI 2022. Difference: they show confusion matrices, this is one number of them.

    Example:
        >>> recency_bias([np.array([0, 1]), np.array([1, 1])])
        0.5
    """
    newest = len(answered) - 1
    return float(np.mean([(of_domain == newest).mean() for of_domain in answered[:-1]]))
