"""What a person probably meant by an option or a class that there is not."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Iterable

UNKNOWN_OPTION = re.compile(r"unrecognized arguments: --([\w.]+)", re.IGNORECASE)
UNKNOWN_CLASS = re.compile(
    r"""Parser key "([\w.]+)":[^"]*"""
    r"""(?:Expected a dot import path string: |module '([\w.]+)' has no attribute ')([\w.]+)"""
)
GROUPS = {"model": "learners", "strategies": "strategies", "data": "datamodules", "sources": "datamodules"}
"""Where the classes of an option are announced, by the last part of its name."""


def unknown_option(message: str, options: Iterable[str]) -> str | None:
    """Return a sentence about an option that does not exist, with the nearest one; None for any other message.

    Args:
        message: of the parser.
        options: the names of all options.

    Example:
        >>> unknown_option("Unrecognized arguments: --optimzer.lr 0.1", ["seed", "optimizer"])
        'there is no option --optimzer.lr: did you mean --optimizer.lr?'
    """
    if (match := UNKNOWN_OPTION.search(message)) is None:
        return None
    names = sorted({option.replace(".init_args", "") for option in options})
    head, dot, rest = match.group(1).partition(".")
    heads = sorted({name.partition(".")[0] for name in names})
    if head in heads:
        nearest = difflib.get_close_matches(match.group(1), names, 1)
    else:
        nearest = [f"{known}{dot}{rest}" for known in difflib.get_close_matches(head, heads, 1)]
    return f"there is no option --{match.group(1)}{_question([f'--{name}' for name in nearest])}"


def unknown_class(message: str) -> str | None:
    """Return a sentence about a class that does not exist, with the nearest one; None for any other message.

    Args:
        message: of the parser.

    Example:
        >>> unknown_class('Parser key "strategies": Expected a dot import path string: Repaly')
        'there is no class Repaly for strategies: did you mean Replay?'
    """
    if (match := UNKNOWN_CLASS.search(message)) is None:
        return None
    option, module, name = match.groups()
    last = option.rpartition(".")[2]
    announced = importlib.metadata.entry_points(group=f"lifelong.{GROUPS.get(last, '')}")
    known = _networks() if last == "network" else [entry.name for entry in announced]
    nearest = difflib.get_close_matches(name.rpartition(".")[2], known, 1)
    path = f"{module}.{name}" if module else name
    return f"there is no class {path} for {option}{_question(nearest)}"


def _networks() -> list[str]:
    from lifelong.networks import __all__ as names  # imports torch, which takes seconds

    return names


def _question(nearest: list[str]) -> str:
    return f": did you mean {nearest[0]}?" if nearest else ";"
