"""Checks of names in the file of a sweep: for unknown names, the nearest known one is suggested."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def check_keys(what: str, content: Any, known: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Raise an error if a mapping has unknown keys, or lacks required ones.

    Args:
        what: description of the mapping for the message.
        content: the mapping.
        known: known keys.
        needed: required keys.

    Raises:
        ValueError: when it does; the message names the key and the nearest known one.

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
    """Raise an error if a name is unknown, and suggest the nearest known one.

    Args:
        sentence: beginning of the message; the name follows.
        name: the given name.
        known: known names.

    Raises:
        ValueError: when the name is unknown.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        way_out = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"{sentence} {name}: {way_out}")


def check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise an error if any of several names is unknown.

    Args:
        kind: what the names are, in the plural.
        names: the given names.
        known: known names.

    Raises:
        ValueError: when one is unknown; the message lists unknown and known names.
    """
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"the sweep has no {kind} {', '.join(unknown)}, only {', '.join(known)}")
