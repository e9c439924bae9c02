"""Storage of labelled examples in columns.

Shapes: ``M`` stored examples, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

LABEL_BYTES = 8
"""Bytes of an example's class and experience."""


class Rows:
    """Store labelled examples in columns, one row per example.

    Example:
        >>> rows = Rows()
        >>> rows.put({"x": torch.ones(2, 3), "label": integers(2, 5), "experience": integers(2, 0)})
        >>> len(rows), rows.nbytes
        (2, 40)
    """

    def __init__(self) -> None:
        self.x = torch.empty(0)
        """``(M, *X)`` inputs in the stream's data type, on the device of training."""
        self.label, self.experience = integers(0, 0), integers(0, 0)
        """``(M,)`` class in the stream, and experience, on the CPU, where rows are drawn."""
        self.extra: dict[str, Tensor] = {}
        """Additional tensors ``(M, …)`` that a strategy stores with each example, by name."""
        self._of_experience: dict[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all columns."""
        return sum(column.nbytes for column in self.columns().values())

    def columns(self) -> dict[str, Tensor]:
        """Return all columns by name, without copying."""
        return {"x": self.x, "label": self.label, "experience": self.experience, **self.extra}

    def take(self, rows: Any) -> dict[str, Tensor]:
        """Return some rows of every column."""
        return {name: column[rows] for name, column in self.columns().items()}

    def put(self, columns: Mapping[str, Tensor]) -> None:
        """Replace all columns."""
        extra = dict(columns)
        self.x, self.label, self.experience = extra.pop("x"), extra.pop("label").cpu(), extra.pop("experience").cpu()
        self.extra, self._of_experience = extra, None

    def append(self, columns: Mapping[str, Tensor]) -> None:
        """Append rows."""
        old = self.columns() if len(self) else {name: column[:0] for name, column in columns.items()}
        self.put({name: torch.cat([old[name], column]) for name, column in columns.items()})

    def replace(self, rows: list[int], columns: Mapping[str, Tensor]) -> None:
        """Overwrite some rows."""
        for name, column in self.columns().items():
            column[rows] = columns[name]
        self._of_experience = None

    def to(self, device: torch.device) -> None:
        """Move inputs and additional tensors to a device; labels stay on the CPU."""
        if self.x.device != device:
            self.x, self.extra = self.x.to(device), {name: column.to(device) for name, column in self.extra.items()}

    def of_experience(self) -> dict[int, Tensor]:
        """Return the rows of each experience that has any."""
        if self._of_experience is None:
            numbers = np.unique(self.experience.numpy()).tolist()
            self._of_experience = {number: (self.experience == number).nonzero()[:, 0] for number in numbers}
        return self._of_experience

    def of_class(self) -> list[Tensor]:
        """Return the rows of each class of each experience, in storage order."""
        order = np.lexsort((self.label, self.experience))  # stable, so the order within a class is kept
        experience, label = self.experience.numpy()[order], self.label.numpy()[order]
        first = np.flatnonzero((np.diff(experience) != 0) | (np.diff(label) != 0)) + 1
        return [torch.from_numpy(rows) for rows in np.split(order, first)] if len(self) else []


def integers(n: int, value: int) -> Tensor:
    """Return a column ``(n,)`` filled with one integer."""
    return torch.full((n,), value, dtype=torch.int32)
