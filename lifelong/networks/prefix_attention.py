"""Attention with a prefix of additional keys and values: how prompts enter a frozen model of transformers.

Shapes: ``n`` inputs, ``T`` vectors of an input, ``P`` vectors before them, ``h`` heads, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.text.pretrained_body import only_errors
from lifelong.utilities.extras import imported

NAME = "lifelong_prefix"
"""Name under which this attention is registered with transformers."""
Prefix = tuple[Tensor, Tensor]
"""Keys and values ``(n, P, D)``, as after a layer's projections."""
_PREFIXES: ContextVar[Mapping[int, Prefix] | None] = ContextVar("prefixes", default=None)
"""Prefixes of the current forward pass, by the ``id`` of the attention module."""
_SEEN: ContextVar[list[tuple[nn.Module, int]] | None] = ContextVar("seen", default=None)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Return ``softmax(Q [K₀; K]ᵀ / √d + M) [V₀; V]`` ``(n, T, h, d)`` and its weights, as transformers requires.

    Args:
        module: the layer's attention module, which may have a prefix ``K₀``, ``V₀``.
        query: ``(n, h, T, d)``.
        key: ``(n, h, T, d)``.
        value: ``(n, h, T, d)``.
        attention_mask: ``M``, added to the scores. All queries attend to the prefix.
        scaling: used instead of ``1 / √d``.
    """
    if (seen := _SEEN.get()) is not None:
        seen.append((module, key.shape[1] * key.shape[3]))
    prefix = (_PREFIXES.get() or {}).get(id(module))
    if prefix is not None:
        heads = (*prefix[0].shape[:2], key.shape[1], -1)
        before = [p.reshape(heads).transpose(1, 2).to(key.dtype) for p in prefix]
        key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        if attention_mask is not None:
            attention_mask = F.pad(attention_mask, (before[0].shape[2], 0))
    if key.shape[1] != query.shape[1]:  # grouped-query attention: several heads share a key
        n_heads = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(n_heads, 1), value.repeat_interleave(n_heads, 1)
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(-1, torch.promote_types(scores.dtype, torch.float32)).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def give_prefix_attention(body: Any, run: Callable[[], Any], who: str) -> list[nn.Module]:
    """Make a model use :func:`attend`, and return the attention modules in the order of the layers.

    Args:
        body: the model.
        run: computes an output of the model.
        who: name of the caller, for error messages.

    Raises:
        ValueError: when the model does not use this attention, or its heads share keys, so that a prefix has another
            size.
    """
    kind = body.config.model_type
    sentence = (
        f"{who} cannot give prompts to a model of the type {kind}, which attends in a way of its own: take one such"
    )
    sentence += " as bert, roberta, vit, dinov2 or clip"
    transformers = imported("transformers", who, "text")
    transformers.AttentionInterface.register(NAME, attend)
    seen: list[tuple[nn.Module, int]] = []
    token = _SEEN.set(seen)
    try:
        with torch.no_grad():
            expected = run().last_hidden_state
            with only_errors("transformers"):  # the code below checks whether it took effect
                body.set_attn_implementation(NAME)
            seen.clear()
            found, digits = run().last_hidden_state, 3e-2 if expected.dtype == torch.bfloat16 else 1e-4
            same = torch.allclose(found, expected, atol=digits * float(expected.abs().max()))
    finally:
        _SEEN.reset(token)
    if not seen or not same or {width for _, width in seen} != {expected.shape[-1]}:
        raise ValueError(sentence)
    return [module for module, _ in seen]


@contextmanager
def prefixes(given: Mapping[nn.Module, Prefix]) -> Iterator[None]:
    """Prepend keys and values to those of attention modules within the block."""
    token = _PREFIXES.set({id(module): prefix for module, prefix in given.items()})
    try:
        yield
    finally:
        _PREFIXES.reset(token)


@contextmanager
def tokens_before(embeddings: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Prepend vectors ``(n, P, D)`` to the outputs of an embedding within the block."""
    handle = embeddings.register_forward_hook(lambda _, inputs, output: torch.cat([tokens.to(output.dtype), output], 1))
    try:
        yield
    finally:
        handle.remove()
