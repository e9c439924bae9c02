"""Texts as the tokens of a language model.

Shapes: ``M`` texts, ``L`` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.text.encoding import TextEncoding
from lifelong.text.model_folder import model_folder
from lifelong.utilities.extras import imported
from lifelong.utilities.ranges import check_number

AT_ONCE = 4096
"""Number of texts tokenised in one call."""


class Tokens(TextEncoding):
    """Tokenize texts by a tokenizer of ``transformers`` (extra ``text``), for a network that embeds tokens.

    Such a network is :class:`lifelong.networks.Transformer` with the same model, or ``lifelong.networks.WithHead``
    around ``torch.nn.EmbeddingBag``.

    Args:
        model: a folder written by ``save_pretrained``, a name on the Hugging Face hub, or ``package:NAME`` for the
            folder ``model`` inside an installed package.
        max_length: ``L``. Longer texts are truncated, shorter ones padded with the tokenizer's padding token (its
            end-of-text token if it has none).

    Raises:
        ValueError: when the extra or the tokenizer is missing.

    Example:
        >>> Tokens(model="bert-base-uncased").max_length
        128
    """

    def __init__(self, *, model: str, max_length: int = 128) -> None:
        check_number("Tokens' max_length", max_length, least=1, whole=True, hint=" of tokens")
        self.model, self.max_length = model, max_length

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as ``(M, L)`` integers."""
        if not len(texts):
            return torch.zeros(0, self.max_length, dtype=torch.long)
        tokenizer = load_tokenizer(self.model, "lifelong.text.Tokens")
        how = {"padding": "max_length", "truncation": True, "max_length": self.max_length, "return_tensors": "np"}
        pieces = [tokenizer(list(texts[i : i + AT_ONCE]), **how)["input_ids"] for i in range(0, len(texts), AT_ONCE)]
        return torch.from_numpy(np.concatenate(pieces).astype(np.int64))


def load_tokenizer(model: str, who: str) -> Any:
    """Load the tokenizer of a model, with a padding token.

    Raises:
        ValueError: when it cannot be loaded.
    """
    auto = imported("transformers", who, "text").AutoTokenizer
    folder = model_folder(model, who)
    try:
        tokenizer = auto.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the tokenizer in {folder} could not be loaded ({first}): give model a folder of save_pretrained"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"  # padding on the left would shift the positions of a text
    return tokenizer
