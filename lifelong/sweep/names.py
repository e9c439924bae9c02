"""Names in the file of a sweep: one that stands for nothing is refused, with the nearest one that there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def check_keys(what: str, content: Any, known: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Refuse a mapping with keys that mean nothing, or without those that it needs.

    Args:
        what: the mapping is, for people.
        content: the mapping.
        known: its keys.
        needed: those that it must have.

    Raises:
        ValueError: naming the key, and the nearest one.

    Example:
        >>> check_keys("a table", {"nam": "a"}, ["name", "rows"])
        Traceback (most recent call last):
            ...
        ValueError: a table has no key nam: did you mean name?
    """
    if not isinstance(content, dict):
        raise ValueError(f"{what} is {content!r}: give it {', '.join(needed or known)}")
    for key in content:
        check_named(f"{what} has no key", key, known)
    if missing := [key for key in needed if key not in content]:
        raise ValueError(f"{what} has no {missing[0]}: give it {', '.join(needed)}")


def check_named(sentence: str, name: Any, known: Sequence[str]) -> None:
    """Refuse a name that stands for nothing, with the nearest one.

    Args:
        sentence: that the name goes on with.
        name: that is given.
        known: names that there are.

    Raises:
        ValueError: with the way out.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        way_out = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"{sentence} {name}: {way_out}")


def check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that stand for nothing.

    Args:
        kind: what they name.
        names: that are given.
        known: that there are.

    Raises:
        ValueError: with both.
    """
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"the sweep has no {kind} {', '.join(unknown)}, only {', '.join(known)}")
