"""Peak memory of the process."""

from __future__ import annotations

import sys

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment, unused-ignore]


def peak_memory() -> dict[str, int]:
    """Measure the peak memory of this process and, if there is one, of the accelerator, in bytes.

    Windows does not report the peak memory of a process, so that value is missing there.

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
