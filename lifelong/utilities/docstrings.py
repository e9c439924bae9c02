"""Docstrings as plain text, without markup. This module imports little, so that help appears immediately."""

from __future__ import annotations

import re


def plain_words(text: str) -> str:
    """Return a text without reStructuredText markup.

    Example:
        >>> plain_words("Train a :class:`~lifelong.networks.Conv4` by ``x``.")
        'Train a Conv4 by x.'
    """
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "")
