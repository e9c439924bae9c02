"""The most memory that a process has held."""

from __future__ import annotations

import sys

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment, unused-ignore]


def peak_memory() -> dict[str, int]:
    """Measure the peak bytes of this process, and of the accelerator where there is one.

    Where the operating system does not tell (Windows), the process has no entry.

    Example:
        >>> peak_memory()["process_bytes"] > 0
        True
    """
    peak = {}
    if resource is not None:
        scale = 1 if sys.platform == "darwin" else 1024
        peak["process_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    if torch.cuda.is_available():
        peak["accelerator_bytes"] = torch.cuda.max_memory_allocated()
    return peak
