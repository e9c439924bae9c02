"""The base class of sources of labelled texts: texts by domain, and an encoding that turns them into numbers.

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
    """Store the labelled texts of one future experience.

    Args:
        name: name in tables and plots.
        texts: ``M`` texts.
        y: class indices ``(M,)``.
        class_names: one name per class index.
        holdout: as in :class:`~lifelong.data.domain.Domain`.
        in_test: which texts belong to the data set's test split ``(M,)``. If None, the stream holds out some texts.
        origin: as in :class:`~lifelong.data.domain.Domain`.

    Raises:
        ValueError: when the numbers of texts and labels differ, or a text is empty.
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
    """Read labelled texts by domain, independently of any network.

    Args:
        encoding: encodes texts for the network.

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
        """Return a reader that encodes new texts like those of the domains."""
        return TextReader(self.encoding)

    @abstractmethod
    def text_domains(self) -> list[TextDomain]:
        """Read the texts, in the order of the stream."""

    def domains(self) -> list[Domain]:
        """Load the domains and encode their texts."""
        domains = self.text_domains()
        if not domains:
            return []  # the stream reports this better than an encoding would
        # In one call: an encoding may be slow to start, and it shows one progress bar.
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
