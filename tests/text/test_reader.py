"""The reader of texts encodes as the source does."""

from __future__ import annotations

import pytest
import torch

from lifelong.text import HashedWords, TextReader
from tests.text.words import Words


def test_texts_are_read_as_the_source_encodes_them() -> None:
    source = Words(HashedWords(max_length=6))
    reader = source.reader()
    assert reader.kind == "texts"
    texts = source.text_domains()[0].texts
    assert torch.equal(reader.read(texts), source.domains()[0].x)


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"text 1 .* is empty"):
        TextReader(HashedWords()).read(["a", " "])
