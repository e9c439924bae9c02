"""Where what was computed once is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the environment variable ``LIFELONG_CACHE``, else ``~/.cache/lifelong``."""
    return Path(os.environ.get("LIFELONG_CACHE") or "~/.cache/lifelong").expanduser()
