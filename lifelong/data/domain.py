"""A domain: the examples of one future experience, by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.data.pool import RESIDENT_BYTES
from lifelong.data.record import DomainRecord


@dataclass(frozen=True)
class Domain:
    """Store what a source loads: the examples of one future experience, by class.

    Args:
        name: name for tables and plots.
        x: ``(M, *X)`` inputs, uint8 or finite floats of any precision, which networks receive in single precision;
            images are ``(M, C, H, W)``, texts ``(M, L)`` tokens as int64.
        y: ``(M,)`` class indices; for regression the index of the function that an example belongs to; -1 for examples
            of ``x`` that are not in the domain.
        class_names: one name per class index.
        targets: ``(M, *Y)`` real targets (regression), or None.
        holdout: what is held out for evaluation in few-shot streams: whole ``classes`` (new classes at test time) or
            ``examples`` of the same classes (for domains with few classes). Streams of labelled examples always hold
            out examples.
        n_variants: number of consecutive class indices that are variants (rotations) of one class; they share a split.
        siblings: number of consecutive class indices that share a split but can occur in the same task (rotations as
            new classes).
        splits: split of each class (``train``, ``val``, ``test``) if fixed by the data set, one for all variants or
            siblings of a class; with ``holdout="classes"``. Default: drawn.
        in_test: ``(M,)`` mask of the data set's test examples; with ``holdout="examples"``. Default: drawn.
        ordered: the examples of a class are a time series. A task is then a window of consecutive examples, the support
            set first; if examples are held out, each part is a contiguous section.
        origin: key for drawing the split. Domains made of the same examples share it, so that no example is in training
            data of one domain and in test data of another. Default: the name.
        record: record of a domain whose examples are not available, else None.
    """

    name: str
    x: Tensor
    y: np.ndarray
    class_names: Sequence[str]
    targets: Tensor | None = None
    holdout: Literal["classes", "examples"] = "classes"
    n_variants: int = 1
    siblings: int = 1
    splits: Sequence[str] | None = None
    in_test: np.ndarray | None = None
    origin: str | None = None
    ordered: bool = False
    record: DomainRecord | None = None

    def part(self, y: np.ndarray, name: str, class_names: Sequence[str]) -> Domain:
        """Return some of the examples with new class indices.

        A large domain shares its inputs with its parts, so that a memory map is not read into memory.

        Args:
            y: ``(M,)`` new class indices; -1 leaves an example out.
            name: name of the part.
            class_names: one name per new class index.

        Example:
            >>> import torch
            >>> whole = Domain("all", torch.arange(4.0), np.array([0, 1, 2, 1]), ["a", "b", "c"])
            >>> whole.part(np.array([1, -1, 0, -1]), "some", ["c", "a"]).x
            tensor([0., 2.])
        """
        kept = np.flatnonzero(y >= 0)
        if len(kept) == len(y) or self.x.nbytes > RESIDENT_BYTES:
            return replace(self, name=name, y=y, class_names=class_names)
        index = torch.from_numpy(kept)
        return replace(
            self,
            name=name,
            x=self.x[index],
            y=y[kept],
            class_names=class_names,
            targets=None if self.targets is None else self.targets[index],
            in_test=None if self.in_test is None else self.in_test[kept],
        )


def members_by_class(y: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """Return the sorted indices of each class's examples, without those of class -1."""
    order = np.argsort(y, kind="stable")
    return np.split(order, np.searchsorted(y[order], np.arange(n_classes)))[1:]
