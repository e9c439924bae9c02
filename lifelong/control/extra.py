"""The packages of the extra ``robot``, imported where they are needed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from lifelong.utilities import extras

T = TypeVar("T")


def imported(package: str, who: str) -> Any:
    """Import a package of the extra ``robot``.

    Where there is no display, MuJoCo is set to draw without one, or not at all where the machine has no EGL either
    (it could not even be imported then), unless ``MUJOCO_GL`` is set.

    Args:
        package: its name.
        who: what needs it.

    Raises:
        ValueError: when it is missing or damaged, with the extra's name.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl" if _has_egl() else "disabled")
    return extras.imported(package, who, "robot")


def drawn(who: str, draw: Callable[[], T]) -> T:
    """Return what ``draw`` returns, a picture or what makes one.

    Args:
        who: what is drawn.
        draw: by MuJoCo, which fails in many ways where a machine cannot draw.

    Raises:
        ValueError: when it fails, with the way out.
    """
    try:
        if os.environ.get("MUJOCO_GL") == "disabled":
            raise OSError("no display and no EGL")
        return draw()
    except Exception as error:
        raise ValueError(
            f"{who} cannot be drawn here (MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}: {error}): install EGL "
            "(libegl1), set MUJOCO_GL to egl, osmesa or glfw, or do without films (video: false; drive has --view plan)"
        ) from error


def _has_egl() -> bool:
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True
