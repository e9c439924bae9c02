"""Class names without their modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def class_name(made: Any) -> str:
    """Return the name of a class without its module, as ``ProtoNet`` of ``lifelong.learners.ProtoNet``. Empty if none.

    Args:
        made: a class path, or a mapping with ``class_path`` or, if that could not be recorded, with ``unrecorded``.

    Example:
        >>> class_name("lifelong.learners.ProtoNet"), class_name({"class_path": "strategies.EWC"}), class_name(None)
        ('ProtoNet', 'EWC', '')
    """
    if isinstance(made, Mapping):
        made = made.get("class_path", made.get("unrecorded"))
    return made.rpartition(".")[2] if isinstance(made, str) else ""
