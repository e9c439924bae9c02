"""The option or class that a person probably meant."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Iterable

from lifelong.networks import __all__ as NETWORKS
from lifelong.run.plugins import GROUPS

UNKNOWN_OPTION = re.compile(r"unrecognized arguments: --([\w.]+)", re.IGNORECASE)
UNKNOWN_CLASS = re.compile(r"Expected a dot import path string: ([\w.]+)")


def did_you_mean(message: str, options: Iterable[str]) -> str:
    """Return a question with the nearest name, or nothing where none is near.

    Args:
        message: of the parser, about an option or a class that it does not know.
        options: the names of all options.

    Example:
        >>> did_you_mean("Unrecognized arguments: --optimzer.lr 0.1", ["seed", "optimizer"])
        ': did you mean --optimizer.lr?'
        >>> did_you_mean("Expected a dot import path string: Repaly", [])
        ': did you mean Replay?'
    """
    if match := UNKNOWN_OPTION.search(message):
        names = sorted({option.replace(".init_args", "") for option in options})
        head, dot, rest = match.group(1).partition(".")
        heads = sorted({name.partition(".")[0] for name in names})
        if head not in heads:
            nearest = [f"{known}{dot}{rest}" for known in difflib.get_close_matches(head, heads, 1)]
        else:
            nearest = difflib.get_close_matches(match.group(1), names, 1)
        return f": did you mean --{nearest[0]}?" if nearest else ""
    if match := UNKNOWN_CLASS.search(message):
        classes = {entry.name for group in GROUPS for entry in importlib.metadata.entry_points(group=group)} | {
            *NETWORKS
        }
        nearest = difflib.get_close_matches(match.group(1).rpartition(".")[2], sorted(classes), 1)
        return f": did you mean {nearest[0]}?" if nearest else ""
    return ""
