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

    If there is no display and ``MUJOCO_GL`` is not set, MuJoCo is set to render without a display. If the machine has
    no EGL either, rendering is disabled, because MuJoCo could not even be imported otherwise.

    Args:
        package: name of the package.
        who: name of the class or function that needs it.

    Raises:
        ValueError: when the package is missing or broken; the message names the extra.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl" if _has_egl() else "disabled")
    return extras.imported(package, who, "robot")


def drawn(who: str, draw: Callable[[], T]) -> T:
    """Call ``draw``, and turn its errors into one that explains how to render on this machine.

    Args:
        who: name of the object to draw.
        draw: function that renders with MuJoCo, which fails in many ways on machines without graphics.

    Raises:
        ValueError: when drawing fails; the message explains what to do.
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
