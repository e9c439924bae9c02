"""The cache folder, for results that are computed once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of the environment variable ``LIFELONG_CACHE``, or else ``~/.cache/lifelong``."""
    return Path(os.environ.get("LIFELONG_CACHE") or "~/.cache/lifelong").expanduser()
