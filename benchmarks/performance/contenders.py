"""Who trains a setup: Lifelong, a loop written by hand over ``torch.autograd.grad``, and learn2learn.

All begin with the same parameters and take the same batches; each makes whole steps of the outer loop with Adam. The
others' convolutional network is the same function in layers of torch, in the order that learn2learn's models have them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
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
from lifelong.compute.measuring import fastest_plan
from lifelong.data.episode import Episode
from lifelong.data.pool import as_input
from lifelong.networks import Conv4
from lifelong.training.optimizer import OuterLoop
from lifelong.utilities.learn2learn import import_learn2learn

Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Support inputs and targets, query inputs and targets of one task."""
RATE = 1e-3
ENOUGH = 8


class Contender(ABC):
    """Takes steps of the outer loop."""

    name: str

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self.setup, self.device = setup, device

    @property
    def n_tasks(self) -> int:
        """Tasks of a step."""
        return self.setup.n_tasks

    @abstractmethod
    def losses(self, batch: Any) -> Tensor:
        """Take one step; the losses ``(B,)`` of the tasks before it."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared error or cross-entropy."""
        return F.mse_loss(output, target) if self.setup.is_regression else F.cross_entropy(output, target)


class Ours(Contender):
    """Lifelong, mapped over tasks as it chooses, or as it is told."""

    def __init__(self, setup: Setup, device: torch.device, **outer: Any) -> None:
        super().__init__(setup, device)
        self.outer = OuterLoop(**outer)
        self.learner = setup.make_learner(setup.make_network(), self.outer).to(device)
        self.learner.train()
        self.learner.lay_out(device)
        self.name = "Lifelong" if not outer else f"Lifelong, {' '.join(str(value) for value in outer.values())}"
        if not outer:
            with TemporaryDirectory() as folder:  # an older plan, of other code, is of no use here
                self.learner.measured_plan = fastest_plan(self.learner, next(batches(setup, device)), Path(folder))
        self.optimizer = self.outer.make_optimizer(self.learner.parameters())

    @property
    def plan(self) -> str:
        """How its tasks are run."""
        return str(self.learner.plan(self.device))

    def losses(self, batch: Episode) -> Tensor:
        """As ``training_step`` does."""
        losses, _ = self.learner.training_losses(self.learner.meta_parameters(), batch)
        self.optimizer.zero_grad()
        self.learner.mean(losses, batch.weight).backward()
        self.optimizer.step()
        return losses.detach()


class TaskByTask(Contender):
    """What the others share: each task's loss is computed and its gradients added up before the next.

    A task takes them as long whatever their number, so the first :data:`ENOUGH` of a batch stand for all.
    """

    @property
    def n_tasks(self) -> int:
        """Tasks of a step."""
        return min(self.setup.n_tasks, ENOUGH)

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer

    @abstractmethod
    def task_loss(self, task: Parts) -> Tensor:
        """The query loss of one task."""

    def losses(self, batch: Episode | list[Parts]) -> Tensor:
        """One task after the other."""
        tasks = (tasks_of(batch) if isinstance(batch, Episode) else batch)[: self.n_tasks]
        found = []
        self.optimizer.zero_grad()
        for task in tasks:
            loss = self.task_loss(task)
            (loss / len(tasks)).backward()
            found.append(loss.detach())
        self.optimizer.step()
        return torch.stack(found)

    def prototypes_loss(self, embed: Callable[[Tensor], Tensor], task: Parts) -> Tensor:
        """Of prototypical networks, support shot by shot."""
        support_x, _, query_x, query_y = task
        means = embed(support_x).unflatten(0, (-1, self.setup.n_way)).mean(0)
        return F.cross_entropy(-torch.cdist(embed(query_x), means).square(), query_y)


class Features(nn.Module):
    """Blocks of convolution, norm, rectifier and pooling, and a head."""

    def __init__(self, blocks: nn.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.blocks, self.head = blocks, head

    def features(self, x: Tensor) -> Tensor:
        """What the head reads."""
        return self.blocks(x).flatten(1)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """What the head answers."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def in_layers_of_torch(network: nn.Module) -> nn.Module:
    """Our convolutional network as others write it, with the same parameters; any other as it is.

    Their convolutions have biases, which a batch norm takes away again: the function is the same.
    """
    if not isinstance(network, Conv4):
        return network
    layers: list[nn.Module] = []
    for convolution, norm, *rest in network.blocks:
        theirs = nn.BatchNorm2d(len(norm.weight), track_running_stats=False)
        theirs.load_state_dict(norm.state_dict())
        if convolution.bias is None:
            convolution.bias = nn.Parameter(torch.zeros(convolution.out_channels))
        pooling = [layer for layer in rest if isinstance(layer, nn.MaxPool2d)]
        layers += [convolution, theirs, nn.ReLU(), *pooling]
    return Features(nn.Sequential(*layers), network.head)


def tasks_of(batch: Episode) -> list[Parts]:
    """The tasks of a batch."""
    parts = batch.support_x, batch.support_y, batch.query_x, batch.query_y
    return list(zip(*(part.unbind() for part in parts), strict=True))


class ByHand(TaskByTask):
    """The loop that a person would write with ``torch.autograd.grad`` and ``functional_call``."""

    name = "loop by hand"

    def __init__(self, setup: Setup, device: torch.device) -> None:
        super().__init__(setup, device)
        self.network: Any = in_layers_of_torch(setup.make_network()).to(device)
        self.rates: Any = repeat(INNER_RATE)
        self.parameters = list(self.network.parameters())
        if setup.learner == "Meta-SGD":
            self.rates = [nn.Parameter(torch.full_like(p, INNER_RATE)) for p in self.network.parameters()]
            self.parameters += self.rates
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def task_loss(self, task: Parts) -> Tensor:
        """Adapt, then the query loss."""
        if self.setup.learner == "ProtoNet":
            return self.prototypes_loss(self.network, task)
        if self.setup.learner == "ANIL":
            return self._anil_loss(task)
        support_x, support_y, query_x, query_y = task
        weights = dict(self.network.named_parameters())
        second_order = self.setup.learner != "first-order MAML"
        for _ in range(self.setup.n_steps):
            loss = self.loss(torch.func.functional_call(self.network, weights, (support_x,)), support_y)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
            moved = zip(weights.items(), self.rates, gradients, strict=False)
            weights = {name: weight - rate * gradient for (name, weight), rate, gradient in moved}
        return self.loss(torch.func.functional_call(self.network, weights, (query_x,)), query_y)

    def _anil_loss(self, task: Parts) -> Tensor:
        support_x, support_y, query_x, query_y = task
        features, weight, bias = self.network.features(support_x), self.network.head.weight, self.network.head.bias
        for _ in range(self.setup.n_steps):
            loss = self.loss(F.linear(features, weight, bias), support_y)
            by_weight, by_bias = torch.autograd.grad(loss, [weight, bias], create_graph=True)
            weight, bias = weight - INNER_RATE * by_weight, bias - INNER_RATE * by_bias
        return self.loss(F.linear(self.network.features(query_x), weight, bias), query_y)


class Learn2Learn(TaskByTask):
    """learn2learn's ``clone`` and ``adapt``, as its examples have it."""

    name = "learn2learn"

    def __init__(self, setup: Setup, device: torch.device) -> None:
        super().__init__(setup, device)
        algorithms = import_learn2learn().algorithms
        self.network: Any = in_layers_of_torch(setup.make_network()).to(device)
        first_order = setup.learner == "first-order MAML"
        if setup.learner == "ProtoNet":
            self.algorithm = None
        elif setup.learner == "Meta-SGD":
            self.algorithm = algorithms.MetaSGD(self.network, lr=INNER_RATE)
        else:
            adapted = self.network.head if setup.learner == "ANIL" else self.network
            self.algorithm = algorithms.MAML(adapted, lr=INNER_RATE, first_order=first_order)
        self.parameters = list({**dict.fromkeys(self.network.parameters()), **self._own()})
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def _own(self) -> dict[nn.Parameter, None]:
        return {} if self.algorithm is None else dict.fromkeys(self.algorithm.parameters())

    def task_loss(self, task: Parts) -> Tensor:
        """Clone, adapt, then the query loss."""
        if self.algorithm is None:
            return self.prototypes_loss(self.network, task)
        support_x, support_y, query_x, query_y = task
        if self.setup.learner == "ANIL":
            support_x, query_x = self.network.features(support_x), self.network.features(query_x)
        clone = self.algorithm.clone()
        for _ in range(self.setup.n_steps):
            clone.adapt(self.loss(clone(support_x), support_y))
        return self.loss(clone(query_x), query_y)


def learn2learn_batches(setup: Setup, device: torch.device, folder: Path | None = None) -> Iterator[list[Parts]]:
    """The tasks of a classification that learn2learn's own loader draws, split into support and query.

    Args:
        setup: what is trained; images where there is a folder.
        device: where the tasks are put.
        folder: images lie in files there and are opened as they are drawn, as in learn2learn's Omniglot (whose files
            are larger, and made smaller each time); None has them as tensors in memory.
    """
    data = import_learn2learn().data
    x, numbers, _ = examples(setup.network, setup.is_regression)
    labelled: Any = _Tensors(x, numbers) if folder is None else _Files(x, numbers, folder)
    dataset = data.MetaDataset(labelled, indices_to_labels=dict(enumerate(numbers.tolist())))
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
        batch = []
        for _ in range(min(setup.n_tasks, ENOUGH)):
            x, y = (part.to(device) for part in tasks.sample())
            batch.append((x[in_support], y[in_support], x[~in_support], y[~in_support]))
        yield batch


class _Tensors(torch.utils.data.Dataset[Any]):
    def __init__(self, x: Tensor, numbers: np.ndarray) -> None:
        self.x, self.numbers = as_input(x), numbers.tolist()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.x[index], self.numbers[index]


class _Files(torch.utils.data.Dataset[Any]):
    def __init__(self, x: Tensor, numbers: np.ndarray, folder: Path) -> None:
        self.paths, self.numbers = [folder / f"{number:05d}.png" for number in range(len(x))], numbers.tolist()
        for path, image in zip(self.paths, x, strict=True):
            Image.fromarray(image[0].numpy()).save(path)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as image:
            pixels = np.asarray(image.convert("L"))
        return torch.from_numpy(pixels.copy())[None].float().div_(255), self.numbers[index]
