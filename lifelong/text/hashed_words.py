"""Texts as hashed words and word pairs, without a model or a vocabulary file.

Shapes: ``M`` texts, ``L`` tokens.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.text.encoding import TextEncoding
from lifelong.utilities.ranges import check_number

WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")


class HashedWords(TextEncoding):
    """Number words and pairs of neighbours by ``1 + crc32(word) mod (n_buckets − 1)``; 0 pads short texts.

    It is for a network that starts with an embedding, such as ``lifelong.networks.WithHead`` around
    ``torch.nn.EmbeddingBag`` with ``padding_idx: 0``. It has no knowledge of language: what is learnt from the words of
    one domain hardly transfers to another, so across domains it is near chance. Use it for tests and for single
    domains.

    Args:
        n_buckets: number of different tokens. Words with the same hash are the same to the network.
        max_length: ``L``, the maximum number of tokens; longer texts are truncated.
        pairs: include pairs of neighbouring words.

    Raises:
        ValueError: when ``n_buckets`` is below 2 or ``max_length`` below 1.

    Reference:
        Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.

    Example:
        >>> a, b = HashedWords(max_length=5).encode(["Not bad", "bad"])
        >>> (a != 0).tolist(), bool(a[1] == b[0])
        ([True, True, True, False, False], True)
    """

    def __init__(self, *, n_buckets: int = 1 << 15, max_length: int = 64, pairs: bool = True) -> None:
        check_number("HashedWords' n_buckets", n_buckets, least=2, whole=True)
        check_number("HashedWords' max_length", max_length, least=1, whole=True, hint=" of tokens")
        self.n_buckets, self.max_length, self.pairs = n_buckets, max_length, pairs

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as ``(M, L)`` integers."""
        rows = torch.zeros(len(texts), self.max_length, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            words = WORD.findall(text.lower())
            pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)] if self.pairs else []
            numbers = [1 + zlib.crc32(word.encode()) % (self.n_buckets - 1) for word in [*words, *pairs]]
            row[: len(numbers)] = torch.tensor(numbers[: self.max_length], dtype=torch.int64)
        return rows
