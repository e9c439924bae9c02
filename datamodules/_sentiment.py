"""The names of sentiments and their order, the same in every source: so their domains make one stream."""

from __future__ import annotations

SENTIMENTS = ("negative", "neutral", "positive")


def sentiments(*, neutral: bool) -> tuple[str, ...]:
    """Return all three, or those without the neutral one.

    Example:
        >>> sentiments(neutral=False)
        ('negative', 'positive')
    """
    return tuple(name for name in SENTIMENTS if neutral or name != "neutral")
