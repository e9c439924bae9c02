"""Timing contenders side by side: in turn, after a warm-up, with the device's work awaited."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, device: torch.device, repetitions: int = 5, seconds: float = 0.2
) -> dict[str, list[float]]:
    """Seconds of one call of each contender, ``repetitions`` times in turn, the order reversed each time.

    Args:
        contenders: what is called, by name; each is called once before the clock runs.
        device: awaited before and after.
        repetitions: how many measurements of each.
        seconds: a measurement calls so often that it lasts about as long, and divides.
    """
    calls = {}
    for name, call in contenders.items():
        call()
        once = _timed(call, 1, device)
        calls[name] = max(1, round(seconds / max(once, 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for repetition in range(repetitions):
        order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
        for name in order:
            found[name].append(_timed(contenders[name], calls[name], device))
    return found


def _timed(call: Callable[[], object], n: int, device: torch.device) -> float:
    await_device(device)
    since = time.perf_counter()
    for _ in range(n):
        call()
    await_device(device)
    return (time.perf_counter() - since) / n


def await_device(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
