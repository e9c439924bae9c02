"""The reader of texts, which encodes them like those of a source.

Shapes: ``M`` texts, ``*X`` one encoded text.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lifelong.data.reader import Reader
from lifelong.text.encoding import TextEncoding


class TextReader(Reader):
    """Read texts by an encoding.

    Args:
        encoding: encodes texts for the network.

    Raises:
        ValueError: when a text is empty.

    Example:
        >>> from lifelong.text import HashedWords
        >>> TextReader(HashedWords(max_length=4)).read(["so good"]).shape
        torch.Size([1, 4])
    """

    kind = "texts"

    def __init__(self, encoding: TextEncoding) -> None:
        self.encoding = encoding

    def read(self, items: Sequence[str]) -> Tensor:
        """Return the texts as ``(M, *X)``."""
        for number, text in enumerate(items):
            if not text.strip():
                raise ValueError(f"text {number} (counted from 0) is empty: fill it, or leave it out")
        return self.encoding.encode(items)

    def steps(self) -> list[str]:
        """Describe the preprocessing of a text in words."""
        kind = type(self.encoding)
        return [f"encode it by {kind.__module__}.{kind.__qualname__}, made as `reader` says"]
