"""A frozen model of transformers with prompts: only the prompts and the head are trained.

Shapes: ``n`` inputs, ``L`` tokens, ``C`` channels, ``H`` by ``W`` pixels, ``D`` features.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lifelong.networks.prefix_attention import give_prefix_attention, prefixes, tokens_before
from lifelong.networks.prompts.base import Prompts
from lifelong.networks.transformer import Transformer
from lifelong.text.language_model import Pooling

WHO = "lifelong.networks.PromptedTransformer"


class PromptedTransformer(Transformer):
    """Run a frozen pre-trained model twice: without prompts for a query ``q(x)``, then with the prompts it selects.

    The query has no gradient. Prompts are either vectors before those of the input, whose outputs are then averaged to
    the features, or keys and values before those of some layers. ``strategies.PromptPool`` adds the penalty of the
    prompts and their steps at the beginning of experiences.

    Args:
        model: as in :class:`Transformer`, for texts or images.
        prompts: :class:`~lifelong.networks.prompts.L2P`, ``DualPrompt`` or ``CODAPrompt``.
        n_outputs: outputs of the linear head.
        pooling: how the output vectors are combined into the query and, for prompts without input vectors, the
            features.
        normalise: scale query and features to unit length.
        dtype: data type of the frozen model.
        image_size: as in :class:`Transformer`.

    Raises:
        ValueError: as in :class:`Transformer`, and when the model does not support prompts.

    Reference:
        Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022.

    Example:
        >>> from lifelong.networks.prompts import L2P
        >>> net = PromptedTransformer(model="google/vit-base-patch16-224", prompts=L2P(), n_outputs=9)  # doctest: +SKIP
        >>> net(torch.zeros(1, 3, 224, 224)).shape  # doctest: +SKIP
        torch.Size([1, 9])
    """

    def __init__(
        self,
        *,
        model: str,
        prompts: Prompts,
        n_outputs: int,
        pooling: Pooling = "first",
        normalise: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
        image_size: int | None = None,
    ) -> None:
        super().__init__(
            model=model,
            trained="head",
            pooling=pooling,
            normalise=normalise,
            dtype=dtype,
            image_size=image_size,
            n_outputs=n_outputs,
        )
        example = self.example()
        self.layers = tuple(give_prefix_attention(self.body, lambda: self.reader.run(self.body, example), WHO))
        self.prompts = prompts
        prompts.build(self.n_features, len(self.layers))
        self._check()

    @property
    def adapter_names(self) -> list[str]:
        """Return the names of the parameters of prompts and head."""
        return [name for name, p in self.named_parameters() if p.requires_grad]

    def query(self, x: Tensor) -> Tensor:
        """Return the frozen model's features ``(n, D)`` without prompts, without a gradient."""
        with torch.no_grad():
            return self.embed(x)

    def features(self, x: Tensor) -> Tensor:
        """Map tokens ``(n, L)`` or images ``(n, C, H, W)`` to ``(n, D)``."""
        chosen = self.prompts(self.query(x))
        with prefixes({self.layers[number]: prefix for number, prefix in chosen.prefixes.items()}):
            if chosen.tokens is None:
                features = self.reader.pool(self.reader.run(self.body, x), x)
            else:
                n_tokens = chosen.tokens.shape[1]
                with tokens_before(self.body.embeddings, chosen.tokens):  # type: ignore[arg-type]
                    hidden = self.reader.run(self.body, x, n_tokens).last_hidden_state
                features = hidden[:, :n_tokens].mean(1)
        return features.float() if features.dtype == torch.bfloat16 else features

    def _check(self) -> None:
        try:
            with torch.no_grad():
                self.features(self.example())
        except Exception as error:  # each model raises its own type for too many vectors
            reason = str(error).strip().partition("\n")[0]
            kind = self.body.config.model_type  # type: ignore[union-attr]
            raise ValueError(
                f"{WHO} cannot put {type(self.prompts).__name__} into a model of the type {kind} ({reason}): take "
                "one such as bert, roberta, vit, dinov2 or clip"
            ) from error
