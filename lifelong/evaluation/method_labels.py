"""Short labels for methods, made of the differences between their configs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from lifelong.evaluation.config_differences import NONE
from lifelong.evaluation.tables import shorten

FIRST = (
    "strategies",
    "model",
    "data.joint",
    "data.cumulative",
    "strategies.",
    "model.",
    "optimizer",
    "optimizer.",
    "data.",
)
"""Keys, and prefixes of keys, that labels use first; the other keys follow in their order."""
BOUNDS = ("data.joint", "data.cumulative")
"""Keys that make a method a bound; the label of a bound names no strategy."""
TOLD = ("strategies", "model", *BOUNDS)
"""Keys that are always part of the labels if methods differ in them, so that no difference hides another."""
CLASSES = ("strategies", "model", "optimizer", "lr_scheduler", "data", "network")
"""Last parts of keys whose value is a class name that needs no key before it."""
LONGEST_VALUE = 24
MOST_TRIED = 3
"""Up to this many options besides the strategies, all combinations are tried for a label."""


def labels(values: Mapping[str, Sequence[str]], fallback: Sequence[str]) -> list[str]:
    """Make a short label for each method: learner, strategies, and the fewest other options that make it unique.

    Learner and strategies are part of the labels only if methods differ in them.

    Args:
        values: for each key in which methods differ, the values of all methods.
        fallback: labels for methods that have none of these keys.

    Example:
        >>> values = {"strategies": ["EWC", "EWC", "none"], "strategies.EWC.strength": ["1", "2", ""]}
        >>> labels(values | {"data.batch_size": ["8", "8", "9"]}, fallback=[""] * 3)
        ['EWC, strength=1', 'EWC, strength=2', 'no strategy']
        >>> labels({"model": ["MAML", "ProtoNet"], "strategies": ["EWC", "none"]}, fallback=[""] * 2)
        ['MAML, EWC', 'ProtoNet, no strategy']
    """
    keys = sorted({*TOLD} & {*values}, key=_rank)
    n_apart = len(set(zip(*(values[key] for key in keys), strict=True)))
    for key in sorted(values, key=_rank):
        if (n := len(set(zip(*(values[k] for k in [*keys, key]), strict=True)))) > n_apart:
            keys, n_apart = [*keys, key], n
    shown = _shown(keys)
    made = []
    for place, otherwise in enumerate(fallback):
        parts = {key: _part(shown[key], values[key][place]) for key in _telling(place, keys, values)}
        in_order = sorted(parts, key=lambda key: key != "model")
        made.append(", ".join(parts[key] for key in in_order if parts[key]) or otherwise)
    return _numbered(made)


def named_by(keys: Sequence[str], values: Mapping[str, Sequence[str]], fallback: Sequence[str]) -> list[str]:
    """Make a label for each method from the given options; equal labels are numbered.

    An option that a method does not have is written as "not set", unless its class is part of the label.

    Args:
        keys: keys of the options.
        values: for each key, the values of all methods; empty text if a method does not have the option.
        fallback: labels for methods that have none of these options.

    Example:
        >>> named_by(["optimizer.lr"], {"optimizer.lr": ["0.1", "0.2"]}, ["", ""])
        ['lr=0.1', 'lr=0.2']
        >>> named_by(["model", "seed"], {"model": ["MAML", "MAML"], "seed": ["0", ""]}, ["", ""])
        ['MAML, seed=0', 'MAML, seed=not set']
    """
    shown = _shown(keys)
    inner = {key for key in keys for outer in keys if key.startswith(f"{outer}.")}

    def part(key: str, value: str) -> str:
        return _part(shown[key], value) if value or key in inner else f"{shown[key]}=not set"

    parts = [[part(key, values[key][place]) for key in keys] for place in range(len(fallback))]
    return _numbered([", ".join(filter(None, of)) or other for of, other in zip(parts, fallback, strict=True)])


def _telling(place: int, keys: Sequence[str], values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the fewest keys whose values distinguish this method; the keys of ``TOLD`` are always included."""
    first = tuple(key for key in keys if key in TOLD and values[key][place] not in (NONE, "false", ""))
    if {"model", "strategies"} <= {*keys} and values["strategies"][place] == NONE and not {*BOUNDS} & {*first}:
        first = ("strategies", *first)
    others = [key for key in keys if key not in first]
    for size in range(min(len(others), MOST_TRIED) + 1):
        for more in itertools.combinations(others, size):
            told = first + more
            of_methods = list(zip(*(values[key] for key in told), strict=True))
            if told and of_methods.count(of_methods[place]) == 1 and any(_part(k, values[k][place]) for k in told):
                return told
    return tuple(keys)


def _shown(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or the whole key if another one has the same last part."""
    lasts = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key if lasts[last] > 1 else last for key in keys for last in [key.rpartition(".")[2]]}


def _numbered(labels: Sequence[str]) -> list[str]:
    """Number equal labels."""
    made: list[str] = []
    for label in labels:
        numbered = (label if n == 1 else f"{label} ({n})" for n in itertools.count(1))
        made.append(next(candidate for candidate in numbered if candidate not in made))
    return made


def _part(name: str, value: str) -> str:
    """Format an option of a method; empty if it is off or missing."""
    if (last := name.rpartition(".")[2]) in ("joint", "cumulative"):
        return last if value == "true" else ""
    if not value:
        return ""
    if name == "strategies" and value == NONE:
        return "no strategy"
    return value if last in CLASSES else f"{name}={shorten(value.rpartition('/')[2] or value, LONGEST_VALUE)}"


def _rank(key: str) -> int:
    places = (i for i, name in enumerate(FIRST) if key == name or (name[-1] == "." and key.startswith(name)))
    return next(places, len(FIRST))
