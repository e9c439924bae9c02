"""Finding plug-ins: learners, strategies and sources by entry point, so that short class names work everywhere."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from pathlib import Path

log = logging.getLogger(__name__)

GROUPS = ("lifelong.learners", "lifelong.strategies", "lifelong.datamodules")
OURS = ("strategies", "datamodules")


def load() -> None:
    """Import every plug-in: ours, and those that installed packages announce under the same entry points.

    One that cannot be imported is left out, with a warning: a broken package shall not stop the work with others.

    Raises:
        ValueError: when a foreign package hides ours.
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
            except Exception as error:  # whatever the code of another package raises
                package = "?" if entry.dist is None else entry.dist.name
                log.warning(
                    "the plug-in %s (%s) of the package %s cannot be imported and is left out (%s): install it anew, "
                    "or remove it",
                    entry.name, entry.value, package, " ".join(str(error).split())[:200],
                )  # fmt: skip
