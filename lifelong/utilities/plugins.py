"""Discovery of plug-ins (learners, strategies and sources) by entry points, so that short class names work."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from pathlib import Path

log = logging.getLogger(__name__)

GROUPS = ("lifelong.learners", "lifelong.strategies", "lifelong.datamodules")
OURS = ("strategies", "datamodules")


def load() -> None:
    """Import every plug-in: those of lifelong, and those that installed packages register under the same entry points.

    A plug-in that cannot be imported is skipped with a warning, so that the other ones still work.

    Raises:
        ValueError: when another package hides one of lifelong's.
    """
    home = Path(__file__).resolve().parent.parent.parent
    for name in OURS:
        module = importlib.import_module(name)
        where = Path(module.__file__ or "").resolve().parent.parent
        if where != home:
            raise ValueError(f"a foreign package {name!r} in {where} hides lifelong's: start from another folder")
    for group in GROUPS:
        for entry in importlib.metadata.entry_points(group=group):
            try:
                entry.load()
            except Exception as error:  # code of another package may raise anything
                package = "?" if entry.dist is None else entry.dist.name
                log.warning(
                    "the plug-in %s (%s) of the package %s cannot be imported and is left out (%s): install it anew, "
                    "or remove it",
                    entry.name, entry.value, package, " ".join(str(error).split())[:200],
                )  # fmt: skip
