"""A language model without its head, which computes one vector per text in a way that ``vmap`` supports.

Shapes: ``n`` texts, ``L`` tokens, ``P`` prompt vectors before them, ``D`` features.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Pooling = Literal["mean", "first", "last", "pooler"]
MaskForm = Literal["whole", "causal", "flags"]
MASK_FORMS: tuple[MaskForm, ...] = ("whole", "causal", "flags")
"""Attention masks: all real tokens; real tokens up to the current one; or flags of real tokens."""
OFFSET = ("camembert", "data2vec-text", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl")
"""Types of models whose positions start after the index of the padding token."""
PROBED = 160
"""Number of tokens of the text that tests a model for ``vmap``; longer than the window of local attention."""


@dataclass(frozen=True)
class TextReader:
    """Compute one vector of each text by a language model.

    Args:
        pad: the padding token.
        form: form of the model's attention mask.
        pooling: how the tokens' vectors are combined into one.
        normalise: scale the vector to unit length.
    """

    pad: int
    form: MaskForm
    pooling: Pooling = "mean"
    normalise: bool = False
    input_shape: ClassVar[None] = None

    def example(self) -> Tensor:
        """Return one text of two tokens without padding."""
        return torch.full((1, 2), int(self.pad == 0))

    def check(self, body: Any, x: Tensor) -> None:
        """Reject anything but tokens ``(n, L)`` for which the model has positions.

        Raises:
            ValueError: when shape, type or length is wrong; the message names that of the data.
        """
        if x.dim() != 2 or x.is_floating_point():
            raise ValueError(
                f"Transformer takes tokens (texts, length) as whole numbers, but the data has {tuple(x.shape)} of "
                f"{x.dtype}: give the source the encoding lifelong.text.Tokens with the same model"
            )
        check_length(body, x)
        window = getattr(body.config, "sliding_window", None)
        if isinstance(window, int) and getattr(body.config, "use_sliding_window", True) and x.shape[1] > window:
            raise ValueError(
                f"texts have up to {x.shape[1]} tokens, but layers of the model ({body.config.model_type}) look back "
                f"on {window}: set max_length {window} or less"
            )

    def run(self, body: Any, x: Tensor, n_prompts: int = 0) -> Any:
        """Return the model's output for tokens ``(n, L)`` after ``n_prompts`` vectors that its embedding prepends.

        Args:
            body: the model.
            x: the tokens.
            n_prompts: ``P``, the number of prompt vectors.
        """
        real = x != self.pad
        seen = F.pad(real, (n_prompts, 0), value=True)
        given: dict[str, Any] = {
            "input_ids": x,
            "attention_mask": _mask(self.form, seen, next(body.parameters()).dtype),
        }
        known = inspect.signature(body.forward).parameters
        if "token_type_ids" in known and getattr(body.config, "type_vocab_size", None):
            given["token_type_ids"] = torch.zeros_like(x)
        if "position_ids" in known:
            given["position_ids"] = _positions(x, real, self.pad if body.config.model_type in OFFSET else None)
        if "use_cache" in known:
            given["use_cache"] = False
        return body(**given)

    def pool(self, output: Any, x: Tensor) -> Tensor:
        """Return one vector ``(n, D)`` of each text from the model's output for its tokens."""
        return _pooled(output, x != self.pad, self.pooling, self.normalise)


def read_texts_of(body: Any, pooling: Pooling, normalise: bool, who: str) -> TextReader:
    """Return a reader whose embeddings equal those of the model's own forward pass.

    Raises:
        ValueError: when there is none, for example for models with local attention, or the model does not support the
            pooling.
    """
    kind, pad = body.config.model_type, getattr(body.config, "pad_token_id", None)
    form = _form_of(body, pad) if isinstance(pad, int) else None
    if form is None or not isinstance(pad, int):
        raise ValueError(
            f"{who} cannot ask a model of the type {kind} for one vector of each text inside a task: take one such as "
            "bert, roberta or distilbert, or embed the texts beforehand with lifelong.text.FrozenEncoder"
        )
    if form == "causal" and pooling == "first":
        raise ValueError(
            f"the first token of a model of the type {kind} sees no other: set --model.network.pooling last or mean"
        )
    if pooling == "pooler" and getattr(body, "pooler", None) is None:
        raise ValueError(f"a model of the type {kind} has no pooler: set --model.network.pooling mean or first")
    return TextReader(pad, form, pooling, normalise)


def embed_as_given(body: Any, x: Tensor, real: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
    """Embed tokens ``(n, L)`` as one vector per text ``(n, D)`` by the model's own forward pass, without ``vmap``.

    Args:
        body: any language model.
        x: tokens.
        real: ``(n, L)``, False for padding.
        pooling: how the tokens' vectors are combined into one.
        normalise: scale the vector to unit length.
    """
    check_length(body, x)
    return _pooled(body(input_ids=x, attention_mask=real.long()), real, pooling, normalise)


def check_length(body: Any, x: Tensor) -> None:
    """Reject texts that are longer than the number of positions of a model.

    Raises:
        ValueError: when a text is too long.
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


def _form_of(body: Any, pad: int) -> MaskForm | None:
    return next((form for form in MASK_FORMS if _is_as_given(body, TextReader(pad, form, normalise=True))), None)


def _is_as_given(body: Any, reader: TextReader) -> bool:
    pad, n_words = reader.pad, body.config.vocab_size
    length = min(PROBED, getattr(body.config, "max_position_embeddings", PROBED) // 2)
    # Any tokens except padding; half of the second text is padding.
    x = (torch.arange(2 * length).view(2, length) + pad + 1) % n_words
    x = torch.where(x == pad, (pad + 1) % n_words, x)
    x[1, length // 2 :] = pad
    with torch.no_grad():
        try:
            ours = torch.func.vmap(lambda text: reader.pool(reader.run(body, text[None]), text[None])[0])(x)
            theirs = embed_as_given(body, x, x != pad, reader.pooling, reader.normalise)
        except Exception:  # each model raises its own type for unsupported calls
            return False
    return torch.allclose(ours, theirs, atol=1e-4)


def _mask(form: MaskForm, real: Tensor, dtype: torch.dtype) -> Tensor:
    # Models use a 4-D mask unchanged, but branch on the values of a 2-D mask, which vmap does not support.
    seen = real[:, None, None, :]
    if form == "flags":
        return seen.long()
    if form == "causal":
        length = real.shape[1]
        seen = seen & torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)


def _pooled(output: Any, real: Tensor, pooling: Pooling, normalise: bool) -> Tensor:
    if pooling == "pooler":
        features: Tensor | None = getattr(output, "pooler_output", None)
        if features is None:
            raise ValueError("the model has no pooler: set pooling mean, first or last")
    else:
        hidden: Tensor = output.last_hidden_state[:, -real.shape[1] :]
        if pooling == "first":
            features = hidden[:, 0]
        elif pooling == "last":
            last = real.shape[1] - 1 - real.flip(1).int().argmax(1)
            features = hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1]))[:, 0]
        else:
            weight = real.to(hidden.dtype)[..., None]
            features = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1)
    return F.normalize(features, dim=-1) if normalise else features


def _positions(x: Tensor, real: Tensor, offset: int | None) -> Tensor:
    if offset is None:
        return torch.arange(x.shape[1], device=x.device).expand(x.shape)
    return real.cumsum(1) * real + offset
