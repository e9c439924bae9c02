"""Tokens are those of the tokenizer, filled and cut on the right."""

from __future__ import annotations

from pathlib import Path

import torch

from lifelong.text import Tokens
from tests.text.tiny import VOCABULARY, needs_extra, save_tokenizer


@needs_extra
def test_tokens_are_those_of_the_tokenizer_filled_and_cut(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    found = Tokens(model=str(tmp_path), max_length=6).encode(["a Great film", "files", "a a a a a a a", "xyz"])
    words = [[VOCABULARY[number] for number in row] for row in found.tolist()]
    assert words == [
        ["[CLS]", "a", "great", "film", "[SEP]", "[PAD]"],
        ["[CLS]", "file", "##s", "[SEP]", "[PAD]", "[PAD]"],
        ["[CLS]", "a", "a", "a", "a", "[SEP]"],
        ["[CLS]", "[UNK]", "[SEP]", "[PAD]", "[PAD]", "[PAD]"],
    ]
    assert found.dtype == torch.int64


@needs_extra
def test_every_tokenizer_pads_on_the_right(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, padding_side="left", pad_token=None, eos_token="[SEP]")
    found = Tokens(model=str(tmp_path), max_length=5).encode(["poor"])
    assert [VOCABULARY[number] for number in found[0]] == ["[CLS]", "poor", "[SEP]", "[SEP]", "[SEP]"]


@needs_extra
def test_no_texts_are_no_tokens(tmp_path: Path) -> None:
    assert Tokens(model=save_tokenizer(tmp_path / "tokenizer"), max_length=6).encode([]).shape == (0, 6)
