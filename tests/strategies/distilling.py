"""What tests of distillation share: a linear classifier, its batches, and what it learnt."""

import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Step
from strategies import LwF

RUNNER = TaskRunner()

KINDS = ["class", "domain", "task"]


def examples(x: Tensor, y: list[int], ways: list[int]) -> Episode:
    """Examples ``(B, D)`` that are told apart from the same ways."""
    labels, classes = torch.tensor(y)[:, None], torch.tensor(ways).expand(len(y), -1)
    return Episode(x[:, None][:, :0], labels[:, :0], x[:, None], labels, torch.ones(len(y)), len(ways), classes)


def step_on(learner: Learner, batch: Episode, n_own: int | None = None) -> Step:
    params = learner.meta_parameters()
    losses, outputs = RUNNER.losses_and_outputs(learner, params, batch)
    return Step(batch, params, outputs, losses, Position(3, n_tasks=len(batch) if n_own is None else n_own))


def linear(n_classes: int = 4, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(nn.Linear(2, n_classes, bias=False))


def teach(lwf: LwF, learner: Learner, heads: list[list[int]], n_past: int) -> None:
    """As if the learner had ended its experiences."""
    lwf.old = {name: p.detach().clone() for name, p in learner.meta_parameters().items()}
    lwf.heads, lwf.n_past = [torch.tensor(head) for head in heads], n_past


def grad_of(value: Tensor, learner: Learner) -> Tensor:
    (gradient,) = torch.autograd.grad(value, [learner.network.weight])  # type: ignore[list-item]
    return gradient
