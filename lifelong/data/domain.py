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
    """Hold what a source loads: the examples of one future experience, by class.

    Args:
        name: shown in tables and plots.
        x: ``(M, *X)`` inputs, uint8, or finite floats of any precision, which networks are given in single precision;
            images are ``(M, C, H, W)``, texts ``(M, L)`` tokens as int64.
        y: ``(M,)`` class indices; for regression the index of the function that an example comes from; -1 where an
            example of ``x`` is not the domain's.
        class_names: one name per class index.
        targets: ``(M, *Y)`` real targets (regression), or None.
        holdout: what evaluation keeps apart in few-shot streams: whole ``classes`` (new classes at test) or
            ``examples`` of the same classes (for domains with few classes). Streams of labelled examples always keep
            examples apart.
        n_variants: consecutive class indices that are variants (rotations) of one class; they share a split.
        siblings: consecutive class indices that share a split but may meet in a task (rotations as new classes).
        splits: the split of each class (``train``, ``val``, ``test``) where the data set fixes it, one
            entry for all variants or siblings together, with ``holdout="classes"``; None draws it.
        in_test: ``(M,)`` which examples the data set keeps for test, with ``holdout="examples"``; None draws them.
        ordered: the examples of a class follow each other in time: a task is a window of consecutive ones, the support
            first; where examples are held out, each part is such a stretch.
        origin: what the split is drawn by: domains made of the same examples share it, so that none is trained on in
            one of them and tested in another; None is the name.
        record: what is known of a domain whose examples are not at hand; None where they are.
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
        """Return some of the examples under other class indices.

        A large domain shares its inputs with all of its parts, so that a memory map is not read into memory.

        Args:
            y: ``(M,)`` their class indices; -1 leaves an example out.
            name: of the part.
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
    """Return the ascending indices of each class's examples; -1 is no class."""
    order = np.argsort(y, kind="stable")
    return np.split(order, np.searchsorted(y[order], np.arange(n_classes)))[1:]
