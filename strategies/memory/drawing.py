"""Drawing of rehearsed examples: which rows are drawn, and which classes compete for them.

Shapes: ``B`` examples of a batch, ``E`` experiences, ``N`` ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.pool import as_input
from lifelong.data.position import Position
from lifelong.data.sampling import generator


def draw_rows(n_rows: int, n_units: int, position: Position, *, group: int = 0, salt: int = 0) -> Tensor:
    """Return this rank's share of ``n_units`` row numbers below ``n_rows``, drawn with replacement.

    The draw depends on the seed and the step only, and the shares of all ranks together equal the draw of one rank.

    Args:
        n_rows: number of rows to draw from.
        n_units: number of rows to draw over all ranks.
        position: position in the stream.
        group: index of the group that the rows belong to, below 4096.
        salt: number below 16 that selects an independent draw.
    """
    index = (position.step * 16 + salt) * 4096 + group
    drawn = generator(position.seed, "rehearse", position.experience, index).integers(n_rows, size=n_units)
    return torch.from_numpy(drawn[position.rank :: position.world])


def competing_classes(ways: Sequence[Tensor]) -> Tensor:
    """Return for each experience the classes that currently compete in the softmax for its examples, ``(E, N)``.

    In a class-incremental stream these are all seen classes, in a task-incremental stream those of the experience
    itself. Rows are padded with -1.

    Args:
        ways: ways of each experience so far, as they were during that experience; the last one is the current one.

    Example:
        >>> competing_classes([torch.tensor([0, 1]), torch.tensor([0, 1, 2])]).tolist()
        [[0, 1, 2], [0, 1, 2]]
    """
    newest = ways[-1]
    included = set(newest.tolist())
    now = [newest if set(numbers.tolist()) <= included else numbers for numbers in ways]
    return torch.nn.utils.rnn.pad_sequence(now, batch_first=True, padding_value=-1)


def as_batch(x: Tensor, label: Tensor, classes: Tensor) -> Episode:
    """Return stored examples as a batch of the stream, each with weight 1.

    Args:
        x: ``(B, *X)`` inputs as stored, on the device of the batch.
        label: ``(B,)`` classes in the stream, on the CPU.
        classes: ``(B, N)`` classes that compete for each example, on the CPU.
    """
    is_label = classes == label.long()[:, None]
    assert is_label.any(1).all(), "an example's class is one of its ways"
    inputs, y = as_input(x)[:, None], is_label.int().argmax(1, keepdim=True).to(x.device)
    weight = torch.ones(len(x), device=x.device)
    return Episode(inputs[:, :0], y[:, :0], inputs, y, weight, classes.shape[1], classes.to(x.device))
