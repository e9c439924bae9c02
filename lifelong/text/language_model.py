"""A language model without its head: loaded from a folder, and one vector of a text.

Shapes: ``n`` texts, ``L`` tokens, ``D`` features.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.text.model_folder import imported

Pooling = Literal["mean", "first"]
OFFSET = ("camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl")
"""Types of models that count positions from behind their padding."""


def load_body(folder: Path, who: str) -> tuple[nn.Module, int]:
    """The model in a folder, without dropout, and the number of its filling token."""
    transformers = imported("transformers", who)
    transformers.utils.logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
        for name, value in config.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(config, name, 0.0)
        # Eager attention alone has second derivatives. Weights of a pooler or another head are not used here.
        with _only_errors("transformers"):
            body = transformers.AutoModel.from_pretrained(folder, config=config, attn_implementation="eager")
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the model in {folder} could not be loaded ({first}): give model a folder of save_pretrained"
        ) from error
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    body.float()  # newer versions keep the type of the file, and inner loops need more than halves
    return body, int(config.pad_token_id if config.pad_token_id is not None else config.eos_token_id)


def embed_tokens(body: Any, pad: int, x: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
    """One vector ``(n, D)`` per text of tokens ``(n, L)``."""
    real = x != pad
    dtype = next(body.parameters()).dtype
    # A mask of four dimensions is taken as it is; one of two is looked into, which vmap forbids.
    mask = torch.zeros_like(x, dtype=dtype).masked_fill(~real, torch.finfo(dtype).min)[:, None, None, :]
    given = {"input_ids": x, "attention_mask": mask}
    known = inspect.signature(body.forward).parameters
    if "token_type_ids" in known:
        given["token_type_ids"] = torch.zeros_like(x)
    if "position_ids" in known:
        given["position_ids"] = _positions(x, real, pad if body.config.model_type in OFFSET else None)
    hidden: Tensor = body(**given).last_hidden_state
    if pooling == "first":
        features = hidden[:, 0]
    else:
        weight = real.to(hidden.dtype)[..., None]
        features = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1)
    return F.normalize(features, dim=-1) if normalise else features


def _positions(x: Tensor, real: Tensor, offset: int | None) -> Tensor:
    if offset is None:
        return torch.arange(x.shape[1], device=x.device).expand(x.shape)
    return real.cumsum(1) * real + offset


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Of a package's log."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
