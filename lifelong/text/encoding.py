"""The contract of text encodings: the input that a network receives for a text.

Shapes: ``M`` texts, ``*X`` one encoded text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from lifelong.utilities.recorded import Recorded


class TextEncoding(Recorded, ABC):
    """Turn texts into numbers, each independently of the others: an embedding, or tokens that a network embeds.

    Example:
        >>> import torch
        >>> class Length(TextEncoding):
        ...     def encode(self, texts):
        ...         return torch.tensor([[float(len(text))] for text in texts])
        >>> Length().encode(["a", "four"]).tolist()
        [[1.0], [4.0]]
    """

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as ``(M, *X)``: real numbers, or tokens as int64."""
