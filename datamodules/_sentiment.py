"""Names and order of sentiments, the same in every source, so that their domains can form one stream."""

from __future__ import annotations

SENTIMENTS = ("negative", "neutral", "positive")


def sentiments(*, neutral: bool) -> tuple[str, ...]:
    """Return all three sentiments, or only negative and positive.

    Example:
        >>> sentiments(neutral=False)
        ('negative', 'positive')
    """
    return tuple(name for name in SENTIMENTS if neutral or name != "neutral")
