"""Peak memory of one meta-training step by the number of tasks and of inner steps, and the time that saving it costs.

Second-order MAML on Conv4 with max-pooling, 5-way 1-shot with 15 queries: Lifelong with each ``--runner.recompute`` and
tasks in a loop; learn2learn as in its example, which calls ``backward()`` after each task, and with losses summed over
tasks. Peaks are those of torch's allocator, above the memory allocated before the step.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.performance.contenders import in_layers_of_torch, tasks_of
from benchmarks.performance.suite import Row, Say, Settings, alternate
from benchmarks.performance.tables import AXES
from lifelong.compute.recompute import Recompute
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MAML
from lifelong.networks import Conv4
from lifelong.utilities.learn2learn import import_learn2learn

OURS = tuple(f"recompute {what}" for what in get_args(Recompute))
THEIRS = ("learn2learn, a task at a time", "learn2learn, summed")
N_WAY, N_SHOT, N_QUERY, RATE, MB = 5, 1, 15, 0.1, 2**20


@dataclass(frozen=True)
class Case:
    """Describe a step: contender, number of tasks and inner steps, width of the network."""

    name: str
    n_tasks: int = 4
    n_steps: int = 5
    n_filters: int = 64


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure peaks in MB and seconds for every contender, by tasks and by inner steps."""
    names = [name for name in (*OURS, *_under_vmap(settings.device), *THEIRS) if settings.wants(name)]
    for axis, sizes in AXES.items():
        cases: dict[str, list[Case]] = {name: [] for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        sizes = sizes[:2] if settings.quick else sizes
        for size in sizes:
            say(f"seconds of {size} {axis}")
            shape: dict[str, int] = {"n_filters": 16} if settings.quick else {}
            shape["n_tasks" if axis == "tasks" else "n_steps"] = size
            for name in names:
                cases[name].append(Case(name, **shape))
            calls = {name: training_step(cases[name][-1], settings.device) for name in names}
            times = alternate(calls, device=settings.device, repetitions=1 if settings.quick else 3, seconds=0.0)
            for name, values in times.items():
                seconds[name].append(statistics.median(values))
        for name in names:
            say(f"peaks of {name} by {axis}")
            peaks = [peak(training_step(case, settings.device), settings.device) for case in cases[name]]
            row: Row = {"setup": f"{name}, by {axis}", "name": name, "axis": axis, "sizes": list(sizes)}
            row |= {"peak": peaks, "seconds": seconds[name], "slope": float(np.polyfit(sizes, peaks, 1)[0])}
            row["time"] = statistics.median(a / b for a, b in zip(seconds[name], seconds[names[0]], strict=True))
            yield row


def _under_vmap(device: torch.device) -> tuple[str, ...]:
    return tuple(f"vmap, {name}" for name in OURS) if device.type == "cuda" else ()


def peak(step: Callable[[], None], device: torch.device) -> float:
    """Return the MB that a step needs above the memory allocated before it.

    Example:
        >>> peak(lambda: torch.ones(2**20).sum(), torch.device("cpu")) >= 4
        True
    """
    step()
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / MB
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silences torch's profiler
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    results: Any = profiler.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes)) / MB


def training_step(case: Case, device: torch.device) -> Callable[[], None]:
    """Return a function that computes the meta-gradient of a batch of random tasks.

    Raises:
        ValueError: when learn2learn is selected but not installed.
    """
    torch.manual_seed(0)
    network = Conv4(fused=True, n_filters=case.n_filters, norm="batch", pooling="max", image_size=28, n_outputs=N_WAY)
    n_support, n_query = N_WAY * N_SHOT, N_WAY * N_QUERY
    x = torch.randn(case.n_tasks, n_support + n_query, 1, 28, 28)
    y = (torch.arange(n_support + n_query) % N_WAY).repeat(case.n_tasks, 1)
    batch = Episode(
        x[:, :n_support], y[:, :n_support], x[:, n_support:], y[:, n_support:], torch.ones(case.n_tasks), N_WAY
    ).to(device)
    if case.name in THEIRS:
        return _their_step(in_layers_of_torch(network).to(device), batch, case)
    recompute: Any = case.name.split()[-1]
    runner = TaskRunner(plan="vmap" if case.name.startswith("vmap") else "loop", recompute=recompute)
    learner = MAML(network, n_inner_steps=case.n_steps, inner_rate=RATE).to(device)

    def step() -> None:
        learner.zero_grad()
        losses, _ = runner.training_losses(learner, learner.meta_parameters(), batch)
        losses.mean().backward()

    return step


def _their_step(network: Any, batch: Episode, case: Case) -> Callable[[], None]:
    algorithm = import_learn2learn().algorithms.MAML(network, lr=RATE)
    cross_entropy = torch.nn.functional.cross_entropy

    def step() -> None:
        algorithm.zero_grad()
        total = torch.zeros((), device=batch.weight.device)
        for support_x, support_y, query_x, query_y in tasks_of(batch):
            clone = algorithm.clone()
            for _ in range(case.n_steps):
                clone.adapt(cross_entropy(clone(support_x), support_y))
            loss = cross_entropy(clone(query_x), query_y) / len(batch)
            if case.name == THEIRS[0]:
                loss.backward()
            else:
                total = total + loss
        if case.name == THEIRS[1]:
            total.backward()

    return step
