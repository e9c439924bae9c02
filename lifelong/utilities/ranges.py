"""Range checks of settings, each with a message of one sentence."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    whole: bool = False,
    hint: str = "",
) -> None:
    """Refuse a setting that is not a finite number or is outside its range.

    Args:
        name: name of the setting as the user knows it: ``--model.n_steps``, ``EWC's strength``.
        value: value of the setting. None, for a setting that is left out, is always accepted.
        least: smallest allowed value (inclusive).
        above: lower limit (exclusive).
        most: largest allowed value (inclusive).
        below: upper limit (exclusive).
        whole: whether the value must be an integer.
        hint: a further solution after the range: ``, or null for all``.

    Raises:
        ValueError: with the name, the value and the range.

    Example:
        >>> check_number("--data.n_way", 5, least=1, whole=True)
        >>> check_number("EWC's decay", float("nan"), least=0, most=1)
        Traceback (most recent call last):
            ...
        ValueError: EWC's decay is nan: it must be at least 0 and at most 1
    """
    if value is None:
        return
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    inside = is_number and math.isfinite(value)
    inside = inside and (least is None or value >= least) and (above is None or value > above)
    inside = inside and (most is None or value <= most) and (below is None or value < below)
    if not inside:
        raise ValueError(f"{name} is {value}: it must be {_range(least, above, most, below, whole)}{hint}")


def _range(least: float | None, above: float | None, most: float | None, below: float | None, whole: bool) -> str:
    bounds = (("at least", least), ("above", above), ("at most", most), ("below", below))
    words = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    kind = "a whole number" if whole else "a finite number"
    return f"{kind}, {words}" if whole and words else words or kind
