"""The packages of the extra ``robot``, imported where they are needed."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def imported(package: str, who: str) -> Any:
    """A package of the extra ``robot``.

    Where there is no display, MuJoCo is told to draw without one, unless ``MUJOCO_GL`` says otherwise.

    Args:
        package: its name.
        who: what needs it.

    Raises:
        ValueError: when it is missing or damaged, with the extra's name.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ValueError(
            f"{who} needs {package}, a package of the extra robot ({error}): "
            f"pip install -c constraints.txt -e '.[robot]'"
        ) from error
