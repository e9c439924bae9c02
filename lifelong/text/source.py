"""The base of all sources of labelled texts: texts by domain, and an encoding that turns them into numbers.

Shapes: ``M`` texts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.text.encoding import TextEncoding
from lifelong.text.reader import TextReader


@dataclass(frozen=True)
class TextDomain:
    """Hold the labelled texts of one future experience.

    Args:
        name: shown in tables and plots.
        texts: ``M`` of them.
        y: ``(M,)`` class indices.
        class_names: one name per class index.
        holdout: as for :class:`~lifelong.data.domain.Domain`.
        in_test: ``(M,)`` which texts the data set keeps for test; None has the stream hold some out.
        origin: as for :class:`~lifelong.data.domain.Domain`.

    Raises:
        ValueError: when texts and labels are not as many, or a text is empty.
    """

    name: str
    texts: Sequence[str]
    y: np.ndarray
    class_names: Sequence[str]
    holdout: Literal["classes", "examples"] = "examples"
    in_test: np.ndarray | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.y):
            raise ValueError(f"{self.name} has {len(self.texts)} texts and {len(self.y)} labels: give one for each")
        for number, text in enumerate(self.texts):
            if not text.strip():
                raise ValueError(f"text {number} of {self.name} is empty: leave it out, or fill it")


class TextSource(Source):
    """Read labelled texts by domain, without knowing any network.

    Args:
        encoding: what a network sees of a text.

    Example:
        >>> from lifelong.text import HashedWords
        >>> class Toy(TextSource):
        ...     def text_domains(self):
        ...         return [TextDomain("toy", ["good", "bad"], np.arange(2), ["+", "−"])]
        >>> Toy(HashedWords(max_length=4)).domains()[0].x.shape
        torch.Size([2, 4])
    """

    def __init__(self, encoding: TextEncoding) -> None:
        self.encoding = encoding

    def reader(self) -> TextReader:
        """Return what encodes a person's texts as those of the domains."""
        return TextReader(self.encoding)

    @abstractmethod
    def text_domains(self) -> list[TextDomain]:
        """Read the texts, in the order of the stream."""

    def domains(self) -> list[Domain]:
        """Load the domains, their texts encoded."""
        domains = self.text_domains()
        if not domains:
            return []  # the stream says so better than an encoding of nothing
        # In one go: an encoding may be slow to start, and shows how far it is.
        x = self.encoding.encode([text for domain in domains for text in domain.texts])
        parts = torch.split(x, [len(domain.texts) for domain in domains])
        return [
            Domain(
                domain.name,
                part,
                domain.y,
                domain.class_names,
                holdout=domain.holdout,
                in_test=domain.in_test,
                origin=domain.origin,
            )
            for domain, part in zip(domains, parts, strict=True)
        ]
