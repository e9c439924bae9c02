"""The setups of the throughput suite: a learner, a network, the shape of its tasks, and the number of tasks per step.

Shapes: ``M`` examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from datamodules import EpisodicDataModule
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.source import Source
from lifelong.learners import ANIL, MAML, MetaSGD, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4

LearnerName = Literal["MAML", "first-order MAML", "ANIL", "Meta-SGD", "ProtoNet"]
LEARNERS: tuple[LearnerName, ...] = ("MAML", "first-order MAML", "ANIL", "Meta-SGD", "ProtoNet")
INNER_RATE = 0.05
NETWORKS: dict[str, Callable[[int | None], nn.Module]] = {
    "Conv4-32": lambda n: Conv4(fused=True, n_filters=32, n_outputs=n),
    "Conv4-64": lambda n: Conv4(fused=True, n_filters=64, n_outputs=n),
    "Conv4-64, stride 2": lambda n: Conv4(fused=True, n_filters=64, pooling="stride", n_outputs=n),
    "MLP 2 x 40": lambda n: MLP(n_inputs=1, hidden=[40, 40], n_outputs=n or 40),
    "MLP 2 x 256": lambda n: MLP(n_inputs=64, hidden=[256, 256], n_outputs=n or 256),
}
INPUTS = {"MLP 2 x 40": (1,), "MLP 2 x 256": (64,)}
"""Shapes of one input by network; default: images of 28 × 28."""
N_CLASSES, N_PER_CLASS = 100, 40
"""Of the synthetic data."""


@dataclass(frozen=True)
class Setup:
    """Define one row of the suite.

    Args:
        learner: name of the learner.
        network: name of its network in :data:`NETWORKS`.
        n_way: number of ways; 1 for regression.
        n_shot: number of support examples per way.
        n_query: number of query examples per way.
        n_steps: number of inner steps, for learners that have them.
        n_tasks: number of tasks in a step of the outer loop.
    """

    learner: LearnerName
    network: str
    n_way: int = 5
    n_shot: int = 1
    n_query: int = 15
    n_steps: int = 5
    n_tasks: int = 4

    @property
    def name(self) -> str:
        """Return the label of the row."""
        shape = f"{self.n_way}w{self.n_shot}s" if self.n_way > 1 else f"{self.n_shot} shots"
        steps = "" if self.learner == "ProtoNet" else f", {self.n_steps} step{'s' if self.n_steps > 1 else ''}"
        return f"{self.learner}, {self.network}, {shape}{steps}, {self.n_tasks} tasks"

    @property
    def is_regression(self) -> bool:
        """Return whether tasks are regression functions."""
        return self.n_way == 1

    def make_network(self) -> nn.Module:
        """Make the network, with a head if the learner adapts it."""
        torch.manual_seed(0)
        return NETWORKS[self.network](None if self.learner == "ProtoNet" else self.n_way)

    def make_learner(self) -> Learner:
        """Make Lifelong's learner."""
        network = self.make_network()
        if self.learner == "ProtoNet":
            return ProtoNet(network)
        settings: dict[str, Any] = {"n_inner_steps": self.n_steps, "inner_rate": INNER_RATE}
        settings["task"] = "regression" if self.is_regression else "classification"
        if self.learner == "MAML" or self.learner == "first-order MAML":
            return MAML(network, first_order=self.learner == "first-order MAML", **settings)
        return MetaSGD(network, **settings) if self.learner == "Meta-SGD" else ANIL(network, **settings)

    def make_data(self) -> EpisodicDataModule:
        """Make tasks from synthetic data with the input shape of the network."""
        return EpisodicDataModule(
            [Synthetic(self.network, self.is_regression)],
            n_way=self.n_way,
            n_shot=self.n_shot,
            n_query=self.n_query,
            tasks_per_batch=self.n_tasks,
            steps_per_experience=10**6,
            split=(0.2, 0.2),
        )


def examples(network: str, is_regression: bool) -> tuple[Tensor, np.ndarray, Tensor | None]:
    """Draw inputs ``(M, *X)``, class (or function) numbers ``(M,)`` and, in regression, targets ``(M, 1)``."""
    generator = torch.Generator().manual_seed(0)
    shape = INPUTS.get(network, (1, 28, 28))
    numbers = np.repeat(np.arange(N_CLASSES), N_PER_CLASS)
    if is_regression:
        x = torch.rand(len(numbers), *shape, generator=generator) * 10 - 5
        phase = torch.rand(N_CLASSES, generator=generator)[numbers] * torch.pi
        return x, numbers, torch.sin(x.sum(1) + phase)[:, None]
    centres = torch.rand(N_CLASSES, *shape, generator=generator)[numbers]
    x = (centres + 2 * torch.rand(len(numbers), *shape, generator=generator)) / 3
    return (x.mul_(230).to(torch.uint8) if len(shape) == 3 else x), numbers, None


class Synthetic(Source):
    """Make one domain of synthetic examples.

    Args:
        network: name of the network, which determines the input shape.
        is_regression: whether targets are sines instead of classes.
    """

    def __init__(self, network: str, is_regression: bool) -> None:
        self.network, self.is_regression = network, is_regression

    def domains(self) -> list[Domain]:
        """Return the domain."""
        x, numbers, targets = examples(self.network, self.is_regression)
        return [Domain("synthetic", x, numbers, [str(n) for n in range(N_CLASSES)], targets=targets)]


def batches(setup: Setup, device: torch.device) -> Iterator[Episode]:
    """Draw and gather an endless stream of training batches, as ``fit`` does."""
    data = setup.make_data()
    for drawn in data.train_dataloader():
        yield drawn.gather(device)


def grid(device: torch.device) -> list[Setup]:
    """Return all rows: every learner on every suitable network, then variations of one setting."""
    on_gpu = device.type == "cuda"
    base = Setup("MAML", "Conv4-64", n_tasks=32 if on_gpu else 4)
    sine = Setup("MAML", "MLP 2 x 40", n_way=1, n_shot=10, n_query=10, n_steps=5, n_tasks=32)
    vectors = Setup("MAML", "MLP 2 x 256", n_tasks=32)
    rows = [base, sine, vectors]
    rows += [replace(row, learner=name) for row in (base, vectors) for name in LEARNERS[1:]]
    rows += [replace(sine, learner=name) for name in ("first-order MAML", "Meta-SGD")]
    rows += [
        replace(base, network=network, learner=name)
        for network in ("Conv4-32", "Conv4-64, stride 2")
        for name in ("MAML", "ProtoNet")
    ]
    rows += [replace(row, n_steps=1) for row in (base, sine, vectors)]
    rows += [replace(base, n_steps=1, learner=name) for name in ("first-order MAML", "ANIL", "Meta-SGD")]
    rows += [replace(row, n_tasks=n) for row in (sine, vectors) for n in (4, 128)]
    rows += [replace(vectors, n_way=20, n_shot=5)]
    many = {"n_tasks": 128 if on_gpu else 32}
    shapes: list[dict[str, Any]] = [many, {"n_way": 20, "n_shot": 5, "n_query": 5}]
    rows += [replace(base, learner=name, **shape) for shape in shapes for name in ("MAML", "ANIL", "ProtoNet")]
    return list(dict.fromkeys(rows))
