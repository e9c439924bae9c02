"""The contract of text encodings: the input that a network gets for a text.

Shapes: ``M`` texts, ``*X`` one text as a network takes it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from lifelong.utilities.recorded import Recorded


class TextEncoding(Recorded, ABC):
    """Turn texts into numbers, each text alone: an embedding, or the tokens that a network embeds itself.

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
        """Encode texts as ``(M, *X)``: real numbers, or whole ones (tokens) as int64."""
