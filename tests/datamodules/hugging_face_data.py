"""Data sets of the library datasets, written by itself: nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import HuggingFace
from lifelong.text import Tokens

PACKAGES = ("datasets", "transformers")
MISSING = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
REQUIRED = os.environ.get("LIFELONG_HUGGING_FACE") == "required"
"""``.ci/hugging_face`` says so: there nothing may be skipped."""
needs_extra = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED, reason=f"{', '.join(MISSING)} not installed: pip install -e '.[hf]'"
)

WORDS = ("zero", "one", "two", "three", "four", "five")


def tokenizer(folder: Path, **special: str) -> str:
    """A tokenizer of six words, written by ``save_pretrained``: [PAD] is 0, [UNK] is 1, the words go on from 2."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, **({"pad_token": "[PAD]"} | special)).save_pretrained(folder)
    return str(folder)


def texts(n: int = 24) -> dict[str, list[Any]]:
    """Texts whose class is the word that they are full of, and whose shop is every other one."""
    labels = [i % 2 for i in range(n)]
    return {
        "text": [f"{WORDS[label]} {WORDS[label]} {WORDS[2 + i % 4]}" for i, label in enumerate(labels)],
        "label": labels,
        "shop": [("north", "south")[i // 2 % 2] for i in range(n)],
    }


def saved_texts(folder: Path, **splits: int) -> str:
    """Splits of so many texts with named classes, written by ``save_to_disk``."""
    from datasets import ClassLabel, Dataset, DatasetDict

    made = {
        split: Dataset.from_dict(texts(n)).cast_column("label", ClassLabel(names=["bad", "good"]))
        for split, n in splits.items()
    }
    DatasetDict(made).save_to_disk(folder)
    return str(folder)


def source(tmp_path: Path, **settings: Any) -> HuggingFace:
    tokens = Tokens(model=tokenizer(tmp_path / "tokenizer"), max_length=5)
    return HuggingFace(**({"text_column": "text", "encoding": tokens} | settings))


def saved_images(folder: Path, n: int = 12) -> str:
    """Grey squares whose brightness is their number, ten at a time, larger than they are asked for."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
    from datasets import Image as Picture

    features = Features({"image": Picture(), "kind": ClassLabel(names=list("cba")), "year": Value("int64")})
    images = [Image.fromarray(np.full((9, 6, 3), 10 * i, dtype=np.uint8)) for i in range(n)]
    rows = {"image": images, "kind": [i % 3 for i in range(n)], "year": [2010 if i < 6 else 999 for i in range(n)]}
    train = Dataset.from_dict(rows, features=features)
    DatasetDict({"train": train, "test": train.select(range(3))}).save_to_disk(folder)
    return str(folder)
