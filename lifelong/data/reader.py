"""The contract of readers: how what a person has (a photo, a text) becomes an example as a source's domains have it.

Shapes: ``M`` items, ``*X`` one input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lifelong.utilities.recorded import Recorded

Kind = Literal["images", "texts"]
"""What a person gives: files of images, or texts."""


class Reader(Recorded, ABC):
    """Turn what a person has into examples of a source, without the source and its data.

    A checkpoint keeps how its reader is made (its class and arguments), so that a model answers elsewhere.

    Example:
        >>> import torch
        >>> class Lengths(Reader):
        ...     kind = "texts"
        ...     def read(self, items):
        ...         return torch.tensor([[float(len(text))] for text in items])
        >>> Lengths().read(["a", "four"]).tolist()
        [[1.0], [4.0]]
    """

    kind: Kind
    """What its items are; a reader around another one reads what that one reads."""

    @abstractmethod
    def read(self, items: Sequence[str]) -> Tensor:
        """Return items, the paths of files or texts, as ``(M, *X)``, as :class:`~lifelong.data.domain.Domain` has them.

        Raises:
            ValueError: when one cannot be read; it is named.
        """

    def steps(self) -> list[str]:
        """Say in words what is done to an item, one step after another, for programs that do it elsewhere."""
        return [f"as {type(self).__module__}.{type(self).__qualname__} reads it"]
