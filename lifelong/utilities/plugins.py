"""Finding plug-ins: learners, strategies and sources by entry point, so that short class names work everywhere."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

GROUPS = ("lifelong.learners", "lifelong.strategies", "lifelong.datamodules")
OURS = ("strategies", "datamodules")


def load() -> None:
    """Import every plug-in: ours, and those that installed packages announce under the same entry points.

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
            entry.load()
