"""The contract of readers, which convert a user's photo or text to an example like those of a source's domains.

Shapes: ``M`` items, ``*X`` one input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lifelong.utilities.recorded import Recorded

Kind = Literal["images", "texts"]
"""What a user provides: files of images, or texts."""


class Reader(Recorded, ABC):
    """Convert a user's files or texts to examples like those of a source, without the source and its data.

    A checkpoint stores the reader's class and arguments, so that a model can predict without the data.

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
    """Kind of its items; a reader that wraps another one has the same kind."""

    @abstractmethod
    def read(self, items: Sequence[str]) -> Tensor:
        """Return paths of files, or texts, as inputs ``(M, *X)`` of a :class:`~lifelong.data.domain.Domain`.

        Raises:
            ValueError: when an item, given in the message, cannot be read.
        """

    def steps(self) -> list[str]:
        """Describe the processing steps of an item in words, for reimplementation in other programs."""
        return [f"as {type(self).__module__}.{type(self).__qualname__} reads it"]
