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
OFFSET = ("camembert", "data2vec-text", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl")
"""Types of models that count positions from behind their padding."""
PROBED = 160
"""Tokens of the text that shows whether a model can be asked so that ``vmap`` maps it: more than a local window has."""


def load_body(folder: Path, who: str) -> nn.Module:
    """Load the model in a folder, without dropout.

    Raises:
        ValueError: when it cannot be loaded.
    """
    transformers = imported("transformers", who)
    transformers.utils.logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        for name, value in config.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(config, name, 0.0)
        # Eager attention alone has second derivatives. Weights of a pooler or another head are not used here.
        how = {"config": config, "attn_implementation": "eager", "output_loading_info": True}
        with _only_errors("transformers"):
            body, report = transformers.AutoModel.from_pretrained(folder, trust_remote_code=False, **how)
    except Exception as error:  # damaged files have one of safetensors
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the model in {folder} could not be loaded ({first}): give model a folder of save_pretrained"
        ) from error
    if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
        raise ValueError(
            f"the weights in {folder} lack {missing[0]}, and {len(missing)} of the model's in all: give model a folder "
            "of save_pretrained"
        )
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    return body.float()  # type: ignore[no-any-return]  # newer versions keep the file's type: halves are too few


def embed_as_given(body: Any, x: Tensor, real: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
    """Embed tokens ``(n, L)`` as one vector ``(n, D)`` per text as the model does itself, which ``vmap`` cannot map.

    Args:
        body: any language model.
        x: tokens.
        real: ``(n, L)``, False where a token fills.
        pooling: of the tokens' vectors.
        normalise: to unit length.
    """
    check_length(body, x)
    return _pooled(body(input_ids=x, attention_mask=real.long()).last_hidden_state, real, pooling, normalise)


def embed_tokens(body: Any, pad: int, x: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
    """Embed tokens ``(n, L)``, padded with ``pad``, as one vector ``(n, D)`` per text, in a way that ``vmap`` maps."""
    check_length(body, x)
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
    return _pooled(body(**given).last_hidden_state, real, pooling, normalise)


def filling_token(body: Any, who: str) -> int:
    """Return the padding token of a model that embeds the same itself as by ``embed_tokens``.

    Raises:
        ValueError: when it is not, or nothing fills: models that look back alone, or at their neighbours alone.
    """
    kind, pad = body.config.model_type, getattr(body.config, "pad_token_id", None)
    if not isinstance(pad, int) or not _is_as_given(body, pad):
        raise ValueError(
            f"{who} cannot ask a model of the type {kind} for one vector of each text inside a task: take one such as "
            "bert, roberta or distilbert, or embed the texts beforehand with lifelong.text.FrozenEncoder"
        )
    return pad


def check_length(body: Any, x: Tensor) -> None:
    """Refuse texts that are longer than a model has positions.

    Raises:
        ValueError: when they are.
    """
    longest = getattr(body.config, "max_position_embeddings", None)
    if longest is None:
        return
    longest -= body.config.pad_token_id + 1 if body.config.model_type in OFFSET else 0
    if x.shape[1] > longest:
        raise ValueError(
            f"texts have up to {x.shape[1]} tokens, but the model ({body.config.model_type}) takes {longest}: set "
            f"max_length {longest} or less"
        )


def _is_as_given(body: Any, pad: int) -> bool:
    length = min(PROBED, getattr(body.config, "max_position_embeddings", PROBED) // 2)
    # Any tokens but the filling one; half of the second text is filled.
    x = (torch.arange(2 * length).view(2, length) + pad + 1) % body.config.vocab_size
    x = torch.where(x == pad, (pad + 1) % body.config.vocab_size, x)
    x[1, length // 2 :] = pad
    with torch.no_grad():
        try:
            ours = embed_tokens(body, pad, x, "mean", normalise=True)
            theirs = embed_as_given(body, x, x != pad, "mean", normalise=True)
        except Exception:  # each model has its own for a call that it does not know
            return False
    return torch.allclose(ours, theirs, atol=1e-4)


def _pooled(hidden: Tensor, real: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
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
    """Show only errors of a package's log."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
