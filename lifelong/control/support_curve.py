"""How good a model is after how many transitions: its error on held-out windows against the size of the support set.

Shapes: ``B`` tasks, ``K`` support and ``Q`` query examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.control.adapted import adapt_to
from lifelong.data.episode import Episode
from lifelong.data.pool import TaskShape
from lifelong.data.sampling import draw_task, gather, generator
from lifelong.learners.base import Learner


def default_sizes(n_shot: int) -> list[int]:
    """Nothing, powers of two, and what the tasks have.

    Example:
        >>> default_sizes(20)
        [0, 1, 2, 4, 8, 16, 20]
    """
    return [0, *(2**i for i in range(n_shot.bit_length()) if 2**i < n_shot), n_shot]


def windows(data: Any, part: str, domain: int, n_shot: int, n_tasks: int, device: torch.device) -> Episode:
    """Held-out tasks of a domain with ``n_shot`` support examples and as many queries as its evaluation tasks.

    Args:
        data: an episodic DataModule.
        part: ``val`` or ``test``.
        domain: its number in the stream.
        n_shot: support examples.
        n_tasks: how many.
        device: where they are wanted.

    Raises:
        ValueError: when the domain's classes have too few examples.
    """
    pool = (data.stream.val if part == "val" else data.stream.test)[domain]
    shape = TaskShape(1, n_shot, data.eval_shape.n_query)
    pool.check(shape)
    draws = [draw_task([pool], shape, generator(data.split_seed, part, domain, i)) for i in range(n_tasks)]
    return gather(draws, shape, device)


def errors_by_size(learner: Learner, batch: Episode, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Normalised errors ``(len(sizes), B)``: mean squared error over the mean variance of all queries' targets.

    1 is what always answering the mean comes to. The queries are the same for every size; a support set is the end of
    the largest one, so that in windows of time it comes right before the queries. Size 0 is the learner as it is.

    Args:
        learner: with its strategies.
        batch: tasks with support sets of the largest size or larger.
        sizes: of support sets.

    Example:
        >>> from lifelong.learners import R2D2
        >>> learner, x = R2D2(torch.nn.Identity(), task="regression", regulariser=1e-6), torch.rand(4, 9, 1)
        >>> batch = Episode(x[:, :3], 5 * x[:, :3], x[:, 3:], 5 * x[:, 3:], torch.ones(4), n_way=0)
        >>> errors_by_size(learner, batch, [0, 3]).mean(1).round(2)[1] + 0
        np.float64(0.0)
    """
    targets = batch.query_y.double()
    variance = targets.flatten(0, 1).var(0).mean().clamp_min(1e-12)
    rows = []
    for size in sizes:
        first = batch.support_x.shape[1] - max(size, 1)
        x, y = batch.support_x[:, first:], batch.support_y[:, first:]
        with torch.no_grad():
            outputs = adapt_to(learner, x, y, adapt=size > 0)(batch.query_x).double()
        rows.append(((outputs - targets).square().flatten(1).mean(1) / variance).cpu().numpy())
    return np.stack(rows)
