"""How much memory a step needs, by the tensors that torch's allocator gives out."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def peak(step: Callable[[], Any]) -> int:
    """Return the bytes that a step needs on the CPU above what is held before it."""
    step()
    gc.collect()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler announces itself
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    results: Any = profiler.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes))
