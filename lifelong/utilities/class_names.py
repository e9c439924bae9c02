"""The bare names of classes that a config names by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def class_name(made: Any) -> str:
    """Return the bare name of a class, as ``ProtoNet`` of ``lifelong.learners.ProtoNet``; empty where none is named.

    Args:
        made: a class path, or a mapping with ``class_path``, or with ``unrecorded`` where that could not be written.

    Example:
        >>> class_name("lifelong.learners.ProtoNet"), class_name({"class_path": "strategies.EWC"}), class_name(None)
        ('ProtoNet', 'EWC', '')
    """
    if isinstance(made, Mapping):
        made = made.get("class_path", made.get("unrecorded"))
    return made.rpartition(".")[2] if isinstance(made, str) else ""
