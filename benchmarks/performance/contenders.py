"""The contenders of a setup: Lifelong, a hand-written loop over ``torch.autograd.grad``, and learn2learn.

All start with the same parameters and use the same batches; each runs whole steps of the outer loop with Adam. The
others' convolutional network computes the same function with layers of torch, in the order used by learn2learn's
models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks.performance.setups import INNER_RATE, Setup, batches, examples
from lifelong.compute.measuring import measured
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import as_input
from lifelong.networks import Conv4
from lifelong.training.optimizer import make_optimizer
from lifelong.utilities.learn2learn import import_learn2learn

Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Support inputs and targets, query inputs and targets of one task."""
RATE = 1e-3
ENOUGH = 8
"""Number of tasks measured instead of a larger batch if tasks are trained sequentially, each in the same time."""


class Contender(ABC):
    """Run steps of the outer loop.

    Args:
        setup: learner, network and tasks.
        device: device of the training.
    """

    name: str

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self.setup, self.device = setup, device
        self.n_tasks = setup.n_tasks

    @abstractmethod
    def losses(self, batch: Any) -> Tensor:
        """Run one step; return the losses ``(B,)`` of the tasks before it."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error or the cross-entropy."""
        return F.mse_loss(output, target) if self.setup.is_regression else F.cross_entropy(output, target)


class Ours(Contender):
    """Train with Lifelong and a given plan for tasks."""

    name = "Lifelong"

    def __init__(self, setup: Setup, device: torch.device, plan: PlanName = "measure") -> None:
        super().__init__(setup, device)
        self.learner, self.runner = setup.make_learner().to(device).train(), TaskRunner(plan=plan)
        self.runner.lay_out(self.learner, device)
        if plan == "measure":
            with TemporaryDirectory() as folder:  # a cached plan may be from other code
                found = measured(self.runner, self.learner, next(batches(setup, device)), Path(folder))
            self.runner = self.runner.planned(found)
            self.runner.lay_out(self.learner, device)
        self.plan = str(self.runner.plan_for(self.learner, device))
        self.optimizer = make_optimizer(partial(torch.optim.Adam, lr=RATE), self.learner.parameters())

    def losses(self, batch: Episode) -> Tensor:
        """Run one step, as ``training_step`` does."""
        losses, _ = self.runner.training_losses(self.learner, self.learner.meta_parameters(), batch)
        self.optimizer.zero_grad()
        self.runner.mean(losses, batch.weight).backward()
        self.optimizer.step()
        return losses.detach()


class TaskByTask(Contender):
    """Compute the loss of each task sequentially and accumulate gradients, with a network of torch's layers."""

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer

    def __init__(self, setup: Setup, device: torch.device) -> None:
        super().__init__(setup, device)
        self.n_tasks = min(setup.n_tasks, ENOUGH)
        self.network: Any = in_layers_of_torch(setup.make_network()).to(device)

    @abstractmethod
    def task_loss(self, task: Parts) -> Tensor:
        """Return the query loss of one task."""

    def losses(self, batch: Episode | list[Parts]) -> Tensor:
        """Run one step, task by task."""
        tasks = (tasks_of(batch) if isinstance(batch, Episode) else batch)[: self.n_tasks]
        losses = []
        self.optimizer.zero_grad()
        for task in tasks:
            loss = self.task_loss(task)
            (loss / len(tasks)).backward()
            losses.append(loss.detach())
        self.optimizer.step()
        return torch.stack(losses)

    def prototype_loss(self, task: Parts) -> Tensor:
        """Return the loss of prototypical networks; support examples are ordered shot by shot."""
        support_x, _, query_x, query_y = task
        prototypes = self.network(support_x).unflatten(0, (-1, self.setup.n_way)).mean(0)
        return F.cross_entropy(-torch.cdist(self.network(query_x), prototypes).square(), query_y)


class Features(nn.Module):
    """Pass the flattened maps of convolutional blocks to a head."""

    def __init__(self, blocks: nn.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.blocks, self.head = blocks, head

    def features(self, x: Tensor) -> Tensor:
        """Return the input of the head."""
        return self.blocks(x).flatten(1)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the head."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def in_layers_of_torch(network: nn.Module) -> nn.Module:
    """Build a Conv4 from torch's convolution, norm, ReLU and pooling, with its parameters; return others unchanged.

    Convolutions have biases, as in learn2learn; batch norm cancels them, so the function is the same.
    """
    if not isinstance(network, Conv4):
        return network
    layers: list[nn.Module] = []
    for convolution, norm, *rest in network.blocks:
        batch_norm = nn.BatchNorm2d(len(norm.weight), track_running_stats=False)
        batch_norm.load_state_dict(norm.state_dict())
        if convolution.bias is None:
            convolution.bias = nn.Parameter(torch.zeros(convolution.out_channels))
        pooling = [layer for layer in rest if isinstance(layer, nn.MaxPool2d)]
        layers += [convolution, batch_norm, nn.ReLU(), *pooling]
    return Features(nn.Sequential(*layers), network.head)


def tasks_of(batch: Episode) -> list[Parts]:
    """Split a batch into its tasks."""
    parts = batch.support_x, batch.support_y, batch.query_x, batch.query_y
    return list(zip(*(part.unbind() for part in parts), strict=True))


class ByHand(TaskByTask):
    """Train with a hand-written loop of ``torch.autograd.grad`` and ``functional_call``."""

    name = "loop by hand"

    def __init__(self, setup: Setup, device: torch.device) -> None:
        super().__init__(setup, device)
        self.rates: Any = repeat(INNER_RATE)
        self.parameters = list(self.network.parameters())
        if setup.learner == "Meta-SGD":
            self.rates = [nn.Parameter(torch.full_like(p, INNER_RATE)) for p in self.network.parameters()]
            self.parameters += self.rates
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def task_loss(self, task: Parts) -> Tensor:
        """Adapt, then return the query loss."""
        if self.setup.learner == "ProtoNet":
            return self.prototype_loss(task)
        support_x, support_y, query_x, query_y = task
        adapted = self.network
        if self.setup.learner == "ANIL":
            support_x, query_x, adapted = self.network.features(support_x), self.network.features(query_x), adapted.head
        weights = dict(adapted.named_parameters())
        second_order = self.setup.learner != "first-order MAML"
        for _ in range(self.setup.n_steps):
            loss = self.loss(torch.func.functional_call(adapted, weights, (support_x,)), support_y)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
            moved = zip(weights.items(), self.rates, gradients, strict=False)
            weights = {name: weight - rate * gradient for (name, weight), rate, gradient in moved}
        return self.loss(torch.func.functional_call(adapted, weights, (query_x,)), query_y)


class Learn2Learn(TaskByTask):
    """Train with learn2learn's ``clone`` and ``adapt``, as its examples do."""

    name = "learn2learn"

    def __init__(self, setup: Setup, device: torch.device) -> None:
        super().__init__(setup, device)
        algorithms = import_learn2learn().algorithms
        self.algorithm = None
        if setup.learner == "Meta-SGD":
            self.algorithm = algorithms.MetaSGD(self.network, lr=INNER_RATE)
        elif setup.learner != "ProtoNet":
            adapted = self.network.head if setup.learner == "ANIL" else self.network
            first_order = setup.learner == "first-order MAML"
            self.algorithm = algorithms.MAML(adapted, lr=INNER_RATE, first_order=first_order)
        of_algorithm = [] if self.algorithm is None else self.algorithm.parameters()
        self.parameters = list(dict.fromkeys([*self.network.parameters(), *of_algorithm]))
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def task_loss(self, task: Parts) -> Tensor:
        """Clone, adapt, then return the query loss."""
        if self.algorithm is None:
            return self.prototype_loss(task)
        support_x, support_y, query_x, query_y = task
        if self.setup.learner == "ANIL":
            support_x, query_x = self.network.features(support_x), self.network.features(query_x)
        clone = self.algorithm.clone()
        for _ in range(self.setup.n_steps):
            clone.adapt(self.loss(clone(support_x), support_y))
        return self.loss(clone(query_x), query_y)


def learn2learn_batches(setup: Setup, device: torch.device, folder: Path | None = None) -> Iterator[list[Parts]]:
    """Draw classification tasks with learn2learn's own loader, split into support and query.

    Args:
        setup: a setup with images if ``folder`` is set.
        device: device of the tasks.
        folder: stores each image in a file, which is opened when it is drawn, as in learn2learn's Omniglot (whose files
            are larger, and resized each time). If None, tensors are kept in memory.
    """
    data = import_learn2learn().data
    x, numbers, _ = examples(setup.network, setup.is_regression)
    dataset = data.MetaDataset(_Examples(x, numbers, folder), indices_to_labels=dict(enumerate(numbers.tolist())))
    per_way = setup.n_shot + setup.n_query
    transforms = [
        data.transforms.NWays(dataset, setup.n_way),
        data.transforms.KShots(dataset, per_way),
        data.transforms.LoadData(dataset),
        data.transforms.RemapLabels(dataset),
        data.transforms.ConsecutiveLabels(dataset),
    ]
    tasks = data.Taskset(dataset, task_transforms=transforms)
    in_support = torch.from_numpy(np.arange(setup.n_way * per_way) % per_way < setup.n_shot)
    while True:
        drawn = ([part.to(device) for part in tasks.sample()] for _ in range(min(setup.n_tasks, ENOUGH)))
        yield [(x[in_support], y[in_support], x[~in_support], y[~in_support]) for x, y in drawn]


class _Examples(torch.utils.data.Dataset[Any]):
    """Read examples from memory, or from one file each."""

    def __init__(self, x: Tensor, numbers: np.ndarray, folder: Path | None) -> None:
        self.numbers = numbers.tolist()
        self.read: Callable[[int], Tensor] = as_input(x).__getitem__
        if folder is not None:
            paths = [folder / f"{number:05d}.png" for number in range(len(x))]
            for path, image in zip(paths, x, strict=True):
                Image.fromarray(image[0].numpy()).save(path)
            self.read = lambda index: _read_image(paths[index])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.read(index), self.numbers[index]


def _read_image(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("L")).copy())[None].float().div_(255)
