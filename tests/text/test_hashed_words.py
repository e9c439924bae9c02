"""Hashed words: words, then pairs of them, then filling."""

from __future__ import annotations

import zlib

import pytest
import torch

from lifelong.text import HashedWords


def number(word: str, n_buckets: int = 1 << 15) -> int:
    return 1 + zlib.crc32(word.encode()) % (n_buckets - 1)


def test_hashed_words_are_words_then_pairs_then_filling() -> None:
    found = HashedWords(max_length=8).encode(["Don't PANIC!", "panic"])
    words = ["don't", "panic", "!", "don't panic", "panic !"]
    assert found.tolist() == [[*map(number, words), 0, 0, 0], [number("panic"), *[0] * 7]]
    assert found.dtype == torch.int64
    assert HashedWords(max_length=4, pairs=False).encode(["Don't PANIC!"]).tolist() == [[*map(number, words[:3]), 0]]


def test_hashed_words_are_cut_and_keep_to_their_buckets() -> None:
    texts = [" ".join(f"w{i} é{i}" for i in range(50)), "", "  \n"]
    few = HashedWords(n_buckets=5, max_length=16).encode(texts)
    assert few.shape == (3, 16)
    assert few[0].min() >= 1  # 0 is filling alone
    assert few.max() <= 4
    assert (few[1:] == 0).all()
    assert torch.equal(few, HashedWords(n_buckets=5, max_length=16).encode(texts))
    assert HashedWords().encode([]).shape == (0, 64)


@pytest.mark.parametrize("settings", [{"n_buckets": 1}, {"max_length": 0}])
def test_hashed_words_of_nothing_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} is .: it must be a whole number, at least"):
        HashedWords(**settings)  # type: ignore[arg-type]
