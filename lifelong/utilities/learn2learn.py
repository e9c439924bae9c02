"""Import of learn2learn, which is needed only when a config names it."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(sys.prefix) / "learn2learn"
"""Where ``make learn2learn`` installs it. The folder is added to the path only when needed, as torchmetrics imports any
torchvision that it finds, and the one on PyPI raises an error with a CPU build of torch."""
_kept: list[Any] = []
"""Keeps the library objects alive that define operators, as the operators are removed with them."""


def import_learn2learn() -> Any:
    """Import the module ``learn2learn``, also with a CPU build of torch.

    Raises:
        ValueError: when learn2learn is not installed.
    """
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:  # pragma: no cover
        sys.path.append(str(FOLDER))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gym, which it imports, is no longer maintained
            _import_torchvision()
            return importlib.import_module("learn2learn")
    except ImportError as error:
        raise ValueError(
            f"learn2learn cannot be imported ({error}): install it with `make learn2learn` "
            "(docs/guides/learn2learn.md has the lines for pip)"
        ) from error


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # pragma: no cover
        # The wheel on PyPI is compiled for CUDA builds of torch. With a CPU build, its operators are missing. The
        # import needs these two, which learn2learn does not use.
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("torchvision")
