"""Language models of two layers and a tokenizer of a few words, written where a test wants them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch

PACKAGES = ("transformers", "peft")
MISSING = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
REQUIRED = os.environ.get("LIFELONG_TEXT") == "required"
"""``.ci/text`` says so: there nothing may be skipped."""
needs_extra = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED, reason=f"{', '.join(MISSING)} not installed: pip install -e '.[text]'"
)
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "not", "film", "plot", "actor", "saw", "drill", "file"),
    *("awful", "broken", "poor", "sad", "bright", "great", "lovely", "superb", "##s", "##ly"),
)
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TEXTS = (
    "a great film",
    "not a great film",
    "the awful, awful plot of an actor",
    "drills",
    "poor",
    "a sadly broken saw",
)


def save_tokenizer(folder: Path, **settings: Any) -> None:
    """WordPiece from a file of the vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    made = Tokenizer(models.WordPiece.from_file(str(folder / "vocab.txt"), unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", VOCABULARY.index("[CLS]")), ("[SEP]", VOCABULARY.index("[SEP]"))]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=made, **(special | settings)).save_pretrained(folder)


def save_model(folder: Path, kind: str = "bert", seed: int = 0, **settings: Any) -> str:
    """A model with random weights, large enough that texts differ, and its tokenizer."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    sizes: dict[str, Any] = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 40, "pad_token_id": 0} | SIZES
    if kind == "gpt2":
        sizes = {"vocab_size": len(VOCABULARY), "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}
        sizes |= {"eos_token_id": 3, "bos_token_id": 2}
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **(sizes | settings)))
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.normal_(0, 0.5)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return str(folder)


def transformers_own(folder: str, text: str, pooling: str = "mean") -> torch.Tensor:
    """The vector ``(D,)`` of one text by transformers alone: no filling, no mask."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = model(**AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")).last_hidden_state[0]
    return hidden.mean(0) if pooling == "mean" else hidden[0]  # type: ignore[no-any-return]
