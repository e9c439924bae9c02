"""What takes a language model's place in configs that name one: the same arguments, no model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.networks.prompts import Prompts
from lifelong.text import HashedWords, TextEncoding


class Encoder(TextEncoding):
    """For ``lifelong.text.FrozenEncoder``: 384 numbers of a text, by its words."""

    def __init__(self, model: str) -> None:
        self.table = torch.randn(512, 384, generator=torch.Generator().manual_seed(0))

    def encode(self, texts: Sequence[str]) -> Tensor:
        return self.table[HashedWords(n_buckets=512, max_length=8).encode(texts)].mean(1)


class Tokens(TextEncoding):
    """For ``lifelong.text.Tokens``."""

    def __init__(self, model: str, max_length: int) -> None:
        self.words = HashedWords(n_buckets=512, max_length=max_length)

    def encode(self, texts: Sequence[str]) -> Tensor:
        return self.words.encode(texts)


class PromptedNetwork(nn.Module):
    """For ``lifelong.networks.PromptedTransformer``, of images: five layers that add up their prompts."""

    def __init__(self, model: str, prompts: Prompts, n_outputs: int) -> None:
        super().__init__()
        self.prompts, self.head = prompts, nn.Linear(3, n_outputs)
        prompts.build(n_features=3, n_layers=5)

    def query(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).detach()

    def features(self, x: Tensor) -> Tensor:
        query = self.query(x)
        chosen = self.prompts(query)
        parts = [part for prefix in chosen.prefixes.values() for part in prefix]
        return query + sum(part.mean(1) for part in (parts if chosen.tokens is None else [chosen.tokens]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]


class Network(nn.Module):
    """For ``lifelong.networks.Transformer``, of texts and of images."""

    def __init__(
        self,
        model: str,
        n_outputs: int,
        trained: str = "all",
        lora_rank: int = 8,
        pooling: str = "mean",
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.words, self.colours, self.layer = nn.Embedding(512, 8), nn.Linear(3, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        vectors = self.colours(x.mean((2, 3))) if x.is_floating_point() else self.words(x).mean(1)
        return self.layer(vectors)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]
