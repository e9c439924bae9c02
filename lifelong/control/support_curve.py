"""The support curve: the error of a model on held-out windows by the size of its support set.

Shapes: ``B`` tasks, ``D`` domains, ``K`` sizes of support sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.compute.runner import TaskRunner
from lifelong.control.adaptation import adapt_to
from lifelong.data.episode import Episode
from lifelong.data.kinds import Part
from lifelong.data.pool import TaskShape
from lifelong.data.sampling import draw_task, gather, generator
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.intervals import interval, ragged
from lifelong.learners.base import Learner


@dataclass(frozen=True, eq=False)
class SupportCurve:
    """Store the error of a model in each domain by the size of the support set, with 95 % intervals over tasks.

    Args:
        sizes: ``K`` numbers of support examples.
        mean: normalised errors ``(D, K)``, see :func:`errors_by_size`.
        half_width: half widths ``(D, K)``.
    """

    sizes: list[int]
    mean: NDArray[np.float64]
    half_width: NDArray[np.float64]

    @classmethod
    def of(cls, errors: Sequence[NDArray[np.float64]], sizes: list[int]) -> SupportCurve:
        """Compute the curve from errors ``(K, B)`` of each domain; the number of tasks may differ between domains."""
        return cls(sizes, *interval(ragged(errors)))


def default_sizes(n_shot: int) -> list[int]:
    """Return 0, the powers of two below the size of the tasks' support sets, and that size.

    Example:
        >>> default_sizes(20)
        [0, 1, 2, 4, 8, 16, 20]
    """
    return [0, *(2**i for i in range(n_shot.bit_length()) if 2**i < n_shot), n_shot]


def evaluation_shape(data: StreamDataModule, part: Part, domain: int) -> TaskShape:
    """Return the shape of a domain's evaluation tasks, each of which is drawn from one function (regression)."""
    task = data.draw_for_evaluation(part, domain, [0]).gather(torch.device("cpu"))
    return TaskShape(1, task.support_x.shape[1], task.query_x.shape[1])


def windows(
    data: StreamDataModule, part: Part, domain: int, n_shot: int, n_tasks: int, device: torch.device
) -> Episode:
    """Draw held-out tasks of a domain with ``n_shot`` support examples and the usual number of queries.

    Args:
        data: data module of few-shot tasks.
        part: ``val`` or ``test``.
        domain: index of the domain in the stream.
        n_shot: number of support examples.
        n_tasks: number of tasks.
        device: device of the tasks.

    Raises:
        ValueError: when the domain's classes have too few examples.
    """
    pool = (data.stream.val if part == "val" else data.stream.test)[domain]
    shape = TaskShape(1, n_shot, evaluation_shape(data, part, domain).n_query)
    pool.check(shape)
    draws = [draw_task([pool], shape, generator(data.split_seed, part, domain, i)) for i in range(n_tasks)]
    return gather(draws, shape, device)


def errors_by_size(
    learner: Learner, batch: Episode, sizes: Sequence[int], *, runner: TaskRunner
) -> NDArray[np.float64]:
    """Return normalised errors ``(K, B)``: mean squared error divided by the mean variance of all queries' targets.

    Predicting the mean gives an error of 1. All sizes use the same queries. A smaller support set is the end of the
    largest one, so in time windows it directly precedes the queries. For size 0, the learner is not adapted.

    Args:
        learner: the learner that adapts.
        batch: tasks whose support sets have at least the largest size.
        sizes: sizes of support sets.
        runner: runs the learner. If it is bound to strategies, they route each task by its support set.

    Example:
        >>> from lifelong.learners import R2D2
        >>> learner, x = R2D2(torch.nn.Identity(), task="regression", regulariser=1e-6), torch.rand(4, 9, 1)
        >>> batch = Episode(x[:, :3], 5 * x[:, :3], x[:, 3:], 5 * x[:, 3:], torch.ones(4), n_way=0)
        >>> float(errors_by_size(learner, batch, [0, 3], runner=TaskRunner()).mean(1).round(2)[1] + 0)
        0.0
    """
    targets = batch.query_y.double()
    variance = targets.flatten(0, 1).var(0).mean().clamp_min(1e-12)
    rows = []
    for size in sizes:
        first = batch.support_x.shape[1] - max(size, 1)
        x, y = batch.support_x[:, first:], batch.support_y[:, first:]
        with torch.no_grad():
            outputs = adapt_to(learner, x, y, runner=runner, adapt=size > 0)(batch.query_x).double()
        rows.append(((outputs - targets).square().flatten(1).mean(1) / variance).cpu().numpy())
    return np.stack(rows)
