"""Embeddings of an experience's training examples, with their classes.

Shapes: ``n`` examples, ``D`` features, ``K`` classes of the experience.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.data.episode import Episode
from lifelong.data.position import Visit
from lifelong.data.stream import Experience
from lifelong.learners.base import Learner
from lifelong.learners.features import precise
from lifelong.networks.heads import apply_embedding


def classes_of(experience: Experience) -> Tensor:
    """Return the indices ``(K,)`` of the classes with training examples in an experience."""
    numbers = [n for pool in experience.pools for n, rows in zip(pool.numbers, pool.members, strict=True) if len(rows)]
    return torch.from_numpy(np.unique(np.asarray(numbers, dtype=np.int64)))


def embed(learner: Learner, params: Params, batch: Episode) -> Tensor:
    """Return the embeddings ``(n, D)`` of labelled examples, in single precision or better.

    Args:
        learner: learner whose network computes the embeddings.
        params: parameters for the embeddings.
        batch: ``n`` examples, each the single query of a task.
    """
    return precise(apply_embedding(learner.network, params, batch.to(learner.dtype).query_x[:, 0]))


def embedded_experience(
    learner: Learner, visit: Visit, choices: Sequence[Params]
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Yield batches of the training examples' embeddings ``(n, D)``, one per set of parameters, and classes ``(n,)``.

    Args:
        learner: learner whose network computes the embeddings, in evaluation mode.
        visit: the visit to the experience, which yields this rank's share of the examples.
        choices: the sets of parameters.
    """
    for _, batch in visit.batches("signature", sum(len(pool) for pool in visit.experience.pools)):
        with evaluating(learner.network), torch.no_grad():
            features = [embed(learner, params, batch) for params in choices]
        yield features, batch.query_classes[:, 0]


def places_among(numbers: Tensor, classes: Tensor) -> Tensor:
    """Return the position of each class index in the sorted ``classes``.

    Example:
        >>> places_among(torch.tensor([7, 2]), torch.tensor([2, 5, 7])).tolist()
        [2, 0]
    """
    return torch.searchsorted(classes.to(numbers.device), numbers)
