"""Meta-training throughput in tasks per second, compared with a hand-written loop and learn2learn.

It is measured twice: steps alone, on batches drawn before, and end to end, where each contender draws its tasks.
Lifelong draws from memory, as it always does, and learn2learn from tensors in memory and from files. The losses of all
contenders must agree on the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.performance.contenders import ByHand, Contender, Learn2Learn, Ours, learn2learn_batches
from benchmarks.performance.setups import Setup, batches, grid
from benchmarks.performance.suite import Row, Say, Settings, alternate, ratios, spread

TOLERANCE = {"fp32": 2e-3, "tf32": 5e-2, "bf16": 1e-1}
"""Tolerance of the losses after the inner steps, relative to their mean."""


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure all rows of the grid."""
    for setup in grid(settings.device):
        if settings.wants(setup.name):
            say(setup.name)
            yield measure_setup(setup, settings)


def measure_setup(setup: Setup, settings: Settings) -> Row:
    """Measure the seconds per step of each contender, and the ratios of ours to the others'.

    Raises:
        ValueError: when the contenders' losses differ.
    """
    device = settings.device
    with settings.autocast():  # plans are measured in the precision of the training
        ours, _, theirs = contenders = [kind(setup, device) for kind in (Ours, ByHand, Learn2Learn)]
    source = batches(setup, device)
    difference = disagreement(contenders, next(source), settings)
    if difference > TOLERANCE[settings.precision]:
        raise ValueError(
            f"{setup.name}: the contenders' losses differ by {difference:.2e}, relatively: nothing to compare"
        )
    ready = [next(source) for _ in range(2)]
    calls = {c.name: _step(c, cycle(ready), settings) for c in contenders}
    with TemporaryDirectory() as folder:
        if not setup.is_regression:
            calls["Lifelong, from memory"] = _step(ours, source, settings)
            calls["learn2learn, from memory"] = _step(theirs, learn2learn_batches(setup, device), settings)
            if ready[0].query_x.dim() == 5:
                from_files = learn2learn_batches(setup, device, Path(folder))
                calls["learn2learn, from files"] = _step(theirs, from_files, settings)
        repetitions, seconds = (2, 0.05) if settings.quick else (5, 0.4)
        times = alternate(calls, device=device, repetitions=repetitions, seconds=seconds)
    n_tasks = {name: (ours if name.startswith("Lifelong") else theirs).n_tasks for name in times}
    per_task = {name: [s / n_tasks[name] for s in seconds] for name, seconds in times.items()}
    compared = {"loop by hand": "Lifelong", "learn2learn": "Lifelong"}
    compared |= {f"learn2learn, from {where}": "Lifelong, from memory" for where in ("memory", "files")}
    return {
        "setup": setup.name,
        "plan": ours.plan,  # type: ignore[attr-defined]
        "tasks per second": {name: spread([1 / s for s in seconds]) for name, seconds in per_task.items()},
        "ratio": {a: ratios(per_task[a], per_task[b]) for a, b in compared.items() if a in per_task},
        "loss difference": difference,
    }


def disagreement(contenders: list[Contender], batch: Any, settings: Settings) -> float:
    """Return the largest difference from the losses of the first contender on one batch, relative to their mean."""
    ours, *others = [_step(contender, iter([batch]), settings)() for contender in contenders]
    return max(float((other - ours[: len(other)]).abs().max() / ours.mean()) for other in others)


def _step(contender: Contender, source: Iterator[Any], settings: Settings) -> Callable[[], torch.Tensor]:
    def step() -> torch.Tensor:
        with settings.autocast():
            return contender.losses(next(source))

    return step
