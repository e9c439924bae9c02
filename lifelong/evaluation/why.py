"""Measures that explain forgetting: pure functions of predictions and scores.

Shapes: ``n`` examples or queries, ``N`` ways, ``K`` evaluations during an experience, ``D`` old domains, ``T``
experiences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.estimate import Array

LEAST_PROBABILITY = 1e-12
"""Lower bound of probabilities: a closed-form learner predicts exactly 0 for classes that it has not seen."""


def divergence(before: Array, after: Array) -> Array:
    """Compute the divergence ``KL(p ‖ q)`` of predictions before and after an experience, on its held-out inputs.

    ``KL(p ‖ q) = Σ_c p_c (log p_c − log q_c)`` for each input, in nats, with the class probabilities ``p`` before and
    ``q`` after the experience.

    Args:
        before: ``(n, N)`` probabilities of the model before the experience.
        after: ``(n, N)`` probabilities of the model after the experience.

    Returns:
        Divergences ``(n,)`` in nats.

    Reference:
        Shenfeld, Pari & Agrawal, "RL's Razor: Why Online Reinforcement Learning Forgets Less", 2025, where it predicts
        the amount of forgetting.

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
    """Compute the mean drop of old domains while a new one is learnt: ``1/D Σ_j (A_j(0) − min_k A_j(k))``.

    Args:
        scores: ``(K, D)`` scores ``A_j(k)`` of the old domains; the first row is before the first step.

    Reference:
        De Lange, van de Ven & Tuytelaars, "Continual evaluation for lifelong learning: Identifying the stability gap",
        ICLR 2023. Difference: the paper shows the gap in curves and by the worst-case accuracy; this function returns
        the depth of the drop.

    Example:
        >>> round(stability_gap(np.array([[0.9, 0.8], [0.4, 0.7], [0.85, 0.8]])), 3)
        0.3
    """
    return float((scores[0] - scores.min(0)).mean())


def worst_case_accuracy(lowest: Sequence[float], newest: float) -> float:
    """Compute WC-ACC: ``1/t A_t + (1 − 1/t) · min-ACC`` with ``min-ACC = 1/(t−1) Σ_{j<t} min_k A_j(k)``.

    Args:
        lowest: lowest score of each of the ``t − 1`` old domains since it was learnt.
        newest: score ``A_t`` of the domain learnt last.

    Reference:
        De Lange, van de Ven & Tuytelaars, ICLR 2023.

    Example:
        >>> round(worst_case_accuracy([0.4, 0.7], newest=0.9), 3)
        0.667
    """
    return (sum(lowest) + newest) / (len(lowest) + 1)


def recency_bias(answered: Sequence[NDArray[np.int64]]) -> float:
    """Compute the share of old domains' examples that are predicted as a class of the newest experience.

    ``1/(t−1) Σ_{j<t} 1/n_j Σ_i [the prediction for example i of domain j is a class of experience t]``. It is 0 for a
    learner without bias and 1 for one that predicts only the newest classes; for two balanced domains, random
    predictions give 0.5.

    Args:
        answered: for each of the ``t`` domains so far, in order, the experiences ``(n_j,)`` of the classes predicted
            for its examples.

    Reference:
        The task-recency bias of Masana et al., "Class-Incremental Learning: Survey and Performance Evaluation on Image
        Classification", TPAMI 2022. Difference: the paper shows confusion matrices; this function returns one number.

    Example:
        >>> recency_bias([np.array([0, 1]), np.array([1, 1])])
        0.5
    """
    newest = len(answered) - 1
    return float(np.mean([(of_domain == newest).mean() for of_domain in answered[:-1]]))
