"""A toy source of texts: good and bad words, of two trades."""

from __future__ import annotations

import numpy as np

from lifelong.text import TextDomain, TextSource

WORDS = {"bad": ("awful", "broken", "poor", "sad"), "good": ("bright", "great", "lovely", "superb")}
THINGS = {"films": ("film", "plot", "actor"), "tools": ("saw", "drill", "file")}


class Words(TextSource):
    """Texts of one thing and one word that judges it."""

    def text_domains(self) -> list[TextDomain]:
        return [self._domain(name, things) for name, things in THINGS.items()]

    def _domain(self, name: str, things: tuple[str, ...]) -> TextDomain:
        rows = [
            (f"a {word} {thing}", y) for y, words in enumerate(WORDS.values()) for word in words for thing in things
        ]
        return TextDomain(name, [text for text, _ in rows], np.array([y for _, y in rows]), list(WORDS))
