"""Docstrings as people read them, without the marks of their markup; light, because help begins at once."""

from __future__ import annotations

import re


def plain_words(text: str) -> str:
    """Return a text without the marks of reStructuredText.

    Example:
        >>> plain_words("Train a :class:`~lifelong.networks.Conv4` by ``x``.")
        'Train a Conv4 by x.'
    """
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "")
