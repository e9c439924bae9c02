"""Episodes: the batches of tasks that loaders yield and learners take.

Shapes: ``B`` tasks, ``S`` support examples, ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Task(NamedTuple):
    """Store one task (or, with a leading ``B``, a batch of tasks) as tensors for pure functions of a task.

    ``classes`` ``(N,)`` are the stream-wide indices of the classes, for learners that pre-train on class labels. They
    are never an input of ``adapt`` or ``predict``.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Episode:
    """Store ``B`` tasks of one shape: support sets to learn from and query sets to predict.

    A *unit* is one of the ``B`` tasks. Labels are integers ``0 … N-1`` for classification (``n_way = N``) and
    real targets for regression (``n_way = 0``).

    Args:
        support_x: ``(B, S, *X)`` inputs.
        support_y: ``(B, S)`` labels or ``(B, S, *Y)`` targets.
        query_x: ``(B, Q, *X)`` inputs.
        query_y: ``(B, Q)`` labels or ``(B, Q, *Y)`` targets.
        weight: ``(B,)`` weight of each task in the mean loss.
        n_way: number of classes in each task, 0 for regression.
        classes: ``(B, N)`` stream-wide index of each way's class (for regression, of the function), padded with -1 for
            labelled examples with fewer ways than others. Default: indices of the ways.

    Raises:
        ValueError: when the shapes do not fit together.

    Example:
        >>> import torch
        >>> x, y = torch.zeros(2, 5, 3), torch.arange(5).repeat(2, 1)
        >>> len(Episode(x, y, x, y, torch.ones(2), n_way=5))
        2
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    weight: Tensor
    n_way: int
    classes: Tensor | None = None

    def __post_init__(self) -> None:
        n_units = self.weight.shape[0]
        if self.classes is None:
            ways = torch.arange(max(self.n_way, 1), device=self.weight.device)
            object.__setattr__(self, "classes", ways.repeat(n_units, 1))
        for name in ("support", "query"):
            x, y = getattr(self, f"{name}_x"), getattr(self, f"{name}_y")
            if x.shape[0] != n_units or x.shape[:2] != y.shape[:2]:
                raise ValueError(
                    f"an episode of {n_units} tasks has {name}_x of shape {tuple(x.shape)} and {name}_y of shape "
                    f"{tuple(y.shape)}: both must begin with (tasks, examples)"
                )

    def __len__(self) -> int:
        return self.weight.shape[0]

    def to(self, target: torch.device | torch.dtype) -> Episode:
        """Return the episode on another device, or with its real-valued tensors in another floating type."""
        if isinstance(target, torch.device):
            return self._map(lambda tensor: tensor.to(target))
        return self._map(lambda tensor: tensor.to(target) if tensor.is_floating_point() else tensor)

    def clone(self) -> Episode:
        """Return a copy that shares no memory with this one (and is usable by autograd outside inference mode)."""
        return self._map(torch.clone)

    def tasks(self) -> Task:
        """Return the tensors of the tasks, all with leading dimension ``B``."""
        assert self.classes is not None
        return Task(self.support_x, self.support_y, self.query_x, self.query_y, self.classes)

    @property
    def query_classes(self) -> Tensor:
        """Return the stream-wide number ``(B, Q)`` of each query's class; ``query_y`` is its position among the ways.

        Raises:
            ValueError: when the targets are real numbers (regression).

        Example:
            >>> import torch
            >>> x, y, classes = torch.zeros(2, 1, 3), torch.tensor([[0], [1]]), torch.tensor([[4, 7], [4, 7]])
            >>> batch = Episode(x[:, :0], y[:, :0], x, y, torch.ones(2), n_way=2, classes=classes)
            >>> batch.query_classes.tolist(), batch.ways_of(torch.tensor([[7], [4]])).tolist()
            ([[4], [7]], [[1], [0]])
        """
        assert self.classes is not None
        if self.n_way == 0:
            raise ValueError("tasks of regression have real targets: their queries have no class")
        return self.classes.gather(1, self.query_y)

    def ways_of(self, classes: Tensor) -> Tensor:
        """Return labels ``(B, Q)`` like ``query_y``: the positions of stream-wide classes among each task's ways.

        Args:
            classes: ``(B, Q)`` stream-wide class indices.

        Raises:
            ValueError: when a class is not among its task's ways.
        """
        assert self.classes is not None
        is_way = self.classes[:, None] == classes[:, :, None]
        if not (is_known := is_way.any(dim=-1)).all():
            missing = sorted(set(classes[~is_known].tolist()))
            raise ValueError(f"the classes {missing} are not among the ways of their tasks: leave their examples out")
        return is_way.int().argmax(dim=-1)

    def weighted(self, factor: float) -> Episode:
        """Return the same tasks with their weights multiplied."""
        return replace(self, weight=self.weight * factor)

    def take(self, rows: slice | Tensor) -> Episode:
        """Return some of the tasks."""
        return self._map(lambda tensor: tensor[rows])

    def padded(self, n_way: int) -> Episode:
        """Return the episode padded to ``n_way`` ways, with class -1 for absent ways."""
        if n_way == self.n_way:
            return self
        assert self.classes is not None
        classes = torch.nn.functional.pad(self.classes, (0, n_way - self.n_way), value=-1)
        return replace(self, n_way=n_way, classes=classes)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Episode:
        sx, sy, qx, qy, classes = (function(tensor) for tensor in self.tasks())
        return Episode(sx, sy, qx, qy, function(self.weight), self.n_way, classes)

    @staticmethod
    def cat(episodes: Sequence[Episode]) -> Episode:
        """Concatenate episodes of one shape; labelled examples may have different numbers of ways.

        Raises:
            ValueError: when ways, shots or input shapes differ.
        """
        if not any(e.support_x.shape[1] for e in episodes):
            n_way = max(e.n_way for e in episodes)
            episodes = [e.padded(n_way) for e in episodes]
        first = episodes[0]
        for other in episodes[1:]:
            same = (other.n_way, other.support_x.shape[1:], other.query_x.shape[1:])
            if same != (first.n_way, first.support_x.shape[1:], first.query_x.shape[1:]):
                raise ValueError(
                    f"tasks of different shapes cannot be joined in one batch: {first.n_way} ways with support "
                    f"{tuple(first.support_x.shape[1:])} and {other.n_way} ways with {tuple(other.support_x.shape[1:])}"
                )
        sx, sy, qx, qy, classes = (torch.cat(column) for column in zip(*(e.tasks() for e in episodes), strict=True))
        return Episode(sx, sy, qx, qy, torch.cat([e.weight for e in episodes]), first.n_way, classes)
