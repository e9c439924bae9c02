"""Where the tests get learn2learn from."""

from __future__ import annotations

import os
from typing import Any

import pytest

from lifelong.utilities.learn2learn import import_learn2learn


def learn2learn_or_skip() -> Any:
    """The module; skips the test where it is not installed, unless it must be (``.ci/learn2learn`` says so)."""
    try:
        return import_learn2learn()
    except ValueError as missing:
        if os.environ.get("LIFELONG_LEARN2LEARN") == "required":
            raise
        pytest.skip(str(missing))
