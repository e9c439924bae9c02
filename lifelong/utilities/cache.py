"""The folder of caches: results that are computed once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder in the environment variable ``LIFELONG_CACHE``, else ``~/.cache/lifelong``."""
    return Path(os.environ.get("LIFELONG_CACHE") or "~/.cache/lifelong").expanduser()
