"""Atomic writing of files: a reader sees either the old file or the new one, and never an incomplete one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: str | Path, writer: Callable[[Path], Any]) -> Path:
    """Let ``writer`` write to a temporary file, then rename it; missing folders are created.

    If the process is killed or the disk is full, the old file remains unchanged.

    Args:
        path: path of the file.
        writer: function that writes a file at the given path.

    Returns:
        ``path``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "a.txt", lambda path: path.write_text("all of it")).read_text()
        'all of it'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because renaming is atomic only within one file system.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        writer(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def write_json(path: str | Path, content: Any) -> Path:
    """Write a JSON file atomically; values that JSON does not support are converted by :func:`as_json`.

    Args:
        path: path of the file.
        content: content of the file.

    Returns:
        ``path``.
    """
    text = json.dumps(as_json(content), indent=2, allow_nan=False)
    return write_whole(path, lambda part: part.write_text(text + "\n", encoding="utf-8"))


def as_json(value: Any) -> Any:
    """Return a value that JSON supports: arrays become lists, NaN null, infinities and any other object text.

    Example:
        >>> import numpy as np
        >>> as_json({"mean": np.array([0.5, np.nan, np.inf]), 3: (Path("runs"), None)})
        {'mean': [0.5, None, 'inf'], '3': ['runs', None]}
    """
    if isinstance(value, dict):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
