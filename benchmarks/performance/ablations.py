"""Ablations: time and memory of a training step without an optimisation, relative to those with it.

An optimisation is kept if its ratio is at least 1.05. Both variants run alternately in one process on the same batches.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import torch
import torch.nn.functional as F
from scipy import stats

from benchmarks.performance.clocks import ADAM, Plain
from benchmarks.performance.contenders import Ours
from benchmarks.performance.memory import peak
from benchmarks.performance.setups import Setup, batches
from benchmarks.performance.suite import Row, Say, Settings, alternate
from lifelong.compute.params import Params
from lifelong.networks import MLP
from lifelong.training.optimizer import make_optimizer
from strategies.importance.quadratic import Quadratic

Step = Callable[[], object]
CONVOLUTIONAL = (Setup("ProtoNet", "Conv4-64"), Setup("ANIL", "Conv4-64"), Setup("MAML", "Conv4-64"))


def channels_last(setup: Setup, device: torch.device) -> tuple[Step, Step]:
    """Return a step with weights in channels-last format, and one with contiguous weights."""
    ours, contiguous = _copies(Ours(setup, device, "loop"))
    contiguous.learner.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return _over(ours.losses, setup, device), _over(contiguous.losses, setup, device)


def graphs_of_one_task(setup: Setup, device: torch.device) -> tuple[Step, Step]:
    """Return a step that frees the graph of each task, and one that keeps the graphs of all tasks."""
    ours, whole = _copies(Ours(setup, device, "loop"))

    def losses_with_all_graphs(batch: Any) -> None:
        losses = whole.runner.losses(whole.learner, whole.learner.meta_parameters(), batch)
        whole.optimizer.zero_grad()
        whole.runner.mean(losses, batch.weight).backward()
        whole.optimizer.step()

    return _over(ours.losses, setup, device), _over(losses_with_all_graphs, setup, device)


def fused_optimizer(setup: Setup, device: torch.device) -> tuple[Step, Step]:
    """Return a step of a classifier with a fused Adam, and one with torch's default."""

    def step(fuse: bool) -> Step:
        module = Plain().to(device)
        optimizer = make_optimizer(ADAM, module.parameters(), fuse=fuse)

        def train() -> None:
            optimizer.zero_grad()
            module.training_step(None, 0).backward()
            optimizer.step()

        return train

    return step(True), step(False)


def quadratic_node(setup: Setup, device: torch.device) -> tuple[Step, Step]:
    """Return a step with EWC's penalty as one autograd node per tensor, and one with autograd's own nodes."""

    def step(value: Callable[[Quadratic, Params], torch.Tensor]) -> Step:
        generator = torch.Generator().manual_seed(0)
        network = MLP(n_inputs=784, hidden=[400, 400], n_outputs=10).to(device)
        params, quadratic = dict(network.named_parameters()), Quadratic()
        importance = {name: torch.rand(p.shape, generator=generator).to(device) for name, p in params.items()}
        quadratic.add(importance, {name: torch.zeros_like(p) for name, p in params.items()})
        x = torch.rand(128, 784, generator=generator).to(device)
        y = torch.randint(0, 10, (128,), generator=generator).to(device)
        optimizer = make_optimizer(ADAM, network.parameters())

        def train() -> None:
            optimizer.zero_grad()
            (F.cross_entropy(network(x), y) + 0.5 * value(quadratic, params)).backward()
            optimizer.step()

        return train

    return step(Quadratic.value), step(value_by_autograd)


def value_by_autograd(quadratic: Quadratic, params: Params) -> torch.Tensor:
    """Compute ``Σ_i I_i (θ_i − a_i)² + constant`` with operations of torch."""
    terms = [(i * (params[name] - quadratic.anchor[name]).square()).sum() for name, i in quadratic.importance.items()]
    return torch.stack(terms).sum() + quadratic.constant


ABLATIONS: dict[str, tuple[Callable[[Setup, torch.device], tuple[Step, Step]], Sequence[Setup]]] = {
    "channels-last weights in a loop on a CPU": (channels_last, CONVOLUTIONAL),
    "the graph of one task at a time": (graphs_of_one_task, CONVOLUTIONAL),
    "fused optimizer step, classifier": (fused_optimizer, CONVOLUTIONAL[:1]),
    "EWC's penalty as one node a tensor, classifier": (quadratic_node, CONVOLUTIONAL[:1]),
}


def measure(settings: Settings, say: Say) -> Iterator[Row]:
    """Measure every ablation with its setups."""
    for name, (make, setups) in ABLATIONS.items():
        for setup in setups:
            label = name if len(setups) == 1 else f"{name}: {setup.name}"
            if settings.wants(label):
                say(label)
                with_it, without_it = make(setup, settings.device)
                repetitions, seconds = (3, 0.05) if settings.quick else (15, 0.4)
                calls = {"with": with_it, "without": without_it}
                times = alternate(calls, device=settings.device, repetitions=repetitions, seconds=seconds)
                ratio = [a / b for a, b in zip(times["without"], times["with"], strict=True)]
                memory = peak(without_it, settings.device) / peak(with_it, settings.device)
                yield {"setup": label, "ratio": interval(ratio), "n": len(ratio), "memory": memory}


def interval(ratios: Sequence[float]) -> list[float]:
    """Return the geometric mean of ratios and its 95 % interval (Student's t).

    Example:
        >>> [round(value, 2) for value in interval([1.0, 4.0, 2.0])]
        [2.0, 0.36, 11.19]
    """
    logs = [math.log(ratio) for ratio in ratios]
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return [math.exp(statistics.mean(logs) + shift) for shift in (0, -half, half)]


def _copies(ours: Ours) -> tuple[Ours, Ours]:
    other = copy.copy(ours)
    other.learner = copy.deepcopy(ours.learner)
    other.optimizer = make_optimizer(ADAM, other.learner.parameters())
    return ours, other


def _over(losses: Callable[[Any], object], setup: Setup, device: torch.device) -> Step:
    source = batches(setup, device)
    ready = cycle([next(source) for _ in range(2)])
    return lambda: losses(next(ready))
