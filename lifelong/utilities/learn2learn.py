"""Importing learn2learn, which nothing here needs unless it is asked for by name."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(sys.prefix) / "learn2learn"
"""Where ``make learn2learn`` puts it, on the path only once it is asked for: torchmetrics imports any torchvision that
it sees, and the one on PyPI stops with an error beside a CPU build of torch."""
_kept: list[Any] = []
"""Operators live as long as the library object that defined them."""


def import_learn2learn() -> Any:
    """Import the module ``learn2learn``, beside a CPU build of torch too.

    Raises:
        ValueError: when it is not installed.
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
        # The wheel on PyPI is compiled for CUDA builds of torch; beside a CPU build its operators are missing, of which
        # the import asks for these two and learn2learn uses none.
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("torchvision")
