"""A pool: the examples of one domain and one split, by class, from which tasks are drawn.

Shapes: ``M`` examples in the pool, ``*X`` one input, ``*Y`` one target, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.utilities.ranges import check_number

RESIDENT_BYTES = 2 << 30
"""Pools up to this size are copied to the accelerator once and indexed there; larger ones are gathered on the CPU."""


@dataclass(frozen=True)
class TaskShape:
    """Store ways, shots and queries of a task; ``n_shot`` and ``n_query`` are examples per class.

    For regression a task is drawn from one function, so ``n_way`` must be 1.
    """

    n_way: int = 5
    n_shot: int = 5
    n_query: int = 5

    def __post_init__(self) -> None:
        for name in ("n_way", "n_shot", "n_query"):
            check_number(f"--data.{name}", getattr(self, name), least=1, whole=True)

    @property
    def per_class(self) -> int:
        """Return the number of different examples that a class must have."""
        return self.n_shot + self.n_query

    def __str__(self) -> str:
        return f"{self.n_way}-way {self.n_shot}-shot with {self.n_query} queries per class"


class Pool:
    """Store the examples of one domain and one split by class.

    Args:
        x: ``(M, *X)`` inputs, uint8 (scaled to [0, 1] when drawn), floating point (converted to single precision when
            drawn), or other integers (tokens, left unchanged); may be a memory map.
        members: indices in ``x`` of the examples of each class.
        names: one name per class, for messages.
        targets: ``(M, *Y)`` real targets for regression, where a "class" is one function; None for classification.
        n_variants: number of consecutive classes that are variants (rotations) of the same class, of which a task has
            at most one.
        name: name of the pool's domain.
        numbers: stream-wide index of each class, the same for its variants. Default: counted from 0.
        fixed_ways: every task has all classes, ordered by index, so that a way is always the same class.
        ordered: the examples of a class are a time series, in the order of ``members``. A task is then a window of
            consecutive examples, the support set first.
        support: indices of the examples of each class for support sets, disjoint from the members, which are then used
            for queries only. Default: both are drawn from the members.

    Example:
        >>> pool = Pool(torch.zeros(6, 2), [np.arange(3), np.arange(3, 6)], ["a", "b"], name="toy")
        >>> pool.n_classes, len(pool)
        (2, 6)
    """

    def __init__(
        self,
        x: Tensor,
        members: Sequence[np.ndarray],
        names: Sequence[str],
        *,
        targets: Tensor | None = None,
        n_variants: int = 1,
        name: str = "",
        numbers: np.ndarray | None = None,
        fixed_ways: bool = False,
        ordered: bool = False,
        support: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.x = x
        self.members = [np.asarray(m, dtype=np.int64) for m in members]
        self.names = list(names)
        self.targets = targets
        self.n_variants = n_variants
        self.name = name
        self.numbers = np.arange(len(self.members)) // n_variants if numbers is None else np.asarray(numbers)
        self.fixed_ways = fixed_ways
        self.ordered = ordered
        self.support = None if support is None else [np.asarray(m, dtype=np.int64) for m in support]
        self._resident: dict[torch.device, Tensor] = {}

    def __len__(self) -> int:
        return sum(len(m) for m in self.members)

    @property
    def n_classes(self) -> int:
        """Return the maximum number of classes in a task; variants of one class count once."""
        return len(self.members) // self.n_variants

    @property
    def is_regression(self) -> bool:
        """Return whether the pool has real targets instead of classes."""
        return self.targets is not None

    def check(self, shape: TaskShape) -> None:
        """Raise a ``ValueError`` that says what is missing if tasks of this shape cannot be drawn."""
        if self.is_regression and shape.n_way != 1:
            raise ValueError(f"{self.name} is regression: set --data.n_way 1 (found {shape.n_way})")
        if not self.members:
            raise ValueError(
                f"{self.name} is empty: hold less out for evaluation (--data.split), as every experience needs "
                f"at least {shape.n_way} classes"
            )
        if self.fixed_ways and self.n_classes != shape.n_way:
            raise ValueError(
                f"{self.name} has {self.n_classes} classes, and with --data.fixed_ways every task has them all: set "
                f"--data.n_way {self.n_classes} (found {shape.n_way})"
            )
        if self.n_classes < shape.n_way:
            raise ValueError(
                f"{self.name} has {self.n_classes} classes, but the tasks are {shape}: "
                f"set --data.n_way to at most {self.n_classes}, or give this part more classes (--data.split)"
            )
        for number in range(len(self.members)):
            if lack := self.lack(number, shape):
                raise ValueError(
                    f"{lack}: lower --data.n_shot or --data.n_query (of evaluation tasks --data.eval_n_shot, "
                    "--data.eval_n_query), hold less out (--data.split) or leave the class out "
                    "(--data.small_classes leave_out)"
                )

    def lack(self, number: int, shape: TaskShape) -> str:
        """Return a sentence on what a class lacks for tasks of this shape; empty if it lacks nothing.

        Args:
            number: index of the class, counting each variant.
            shape: shape of the tasks.
        """
        name, n_members = f"class {self.names[number]!r} of {self.name}", len(self.members[number])
        if self.support is None:
            if n_members < shape.per_class:
                return f"{name} has {n_members} examples, but the tasks are {shape} and need {shape.per_class}"
        elif n_members < shape.n_query:
            return f"{name} has {n_members} examples, but the tasks are {shape} and need {shape.n_query} queries"
        elif (n_support := len(self.support[number])) < shape.n_shot:
            return f"{name} has {n_support} training examples, but the tasks are {shape} and need {shape.n_shot}"
        return ""

    def take(self, classes: Sequence[int], name: str) -> Pool:
        """Return the pool of some classes (indices count each variant), sharing the memory of the examples."""
        return Pool(
            self.x,
            [self.members[c] for c in classes],
            [self.names[c] for c in classes],
            targets=self.targets,
            n_variants=self.n_variants,
            name=name,
            numbers=self.numbers[list(classes)],
            fixed_ways=self.fixed_ways,
            ordered=self.ordered,
            support=None if self.support is None else [self.support[c] for c in classes],
        )

    def gather(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Return inputs at ``indices`` (any shape ``I``) as ``(*I, *X)`` on the device, uint8 as floats in [0, 1]."""
        return as_input(self._rows(self.x, indices, device))

    def gather_targets(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Return regression targets at ``indices`` as ``(*I, *Y)`` on the device."""
        assert self.targets is not None
        return as_input(self.targets[torch.from_numpy(indices)].to(device, non_blocking=True))

    def _rows(self, x: Tensor, indices: np.ndarray, device: torch.device) -> Tensor:
        # index_select copies whole rows, ten times as fast as x[index] for uint8.
        index, shape = torch.from_numpy(indices.reshape(-1)), (*indices.shape, *x.shape[1:])
        if device.type == "cpu" or x.nbytes > RESIDENT_BYTES:
            return x.index_select(0, index).to(device, non_blocking=True).reshape(shape)
        if device not in self._resident:
            self._resident[device] = x.to(device)
        return self._resident[device].index_select(0, index.to(device, non_blocking=True)).reshape(shape)


def as_input(x: Tensor) -> Tensor:
    """Convert raw examples to a network's inputs: single precision, uint8 scaled to [0, 1], tokens unchanged."""
    if x.dtype == torch.uint8:
        return x.float().div_(255)
    return x.float() if x.is_floating_point() else x
