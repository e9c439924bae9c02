"""A learner whose norm layer keeps running statistics, for one process or two."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import ProtoNet
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from tests.toys import module_of, toy_data


class Gathered(Strategy):
    """Collects the running statistics of all processes at the end of an experience."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("of_ranks", torch.zeros(2, 16))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        norm = next(module for module in learner.modules() if isinstance(module, nn.BatchNorm1d))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self.of_ranks.copy_(runner.gather(torch.cat([norm.running_mean, norm.running_var])[None]))


def of_tasks() -> tuple[StreamModule, StreamDataModule]:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
    sgd = partial(torch.optim.SGD, lr=0.05)
    return module_of(ProtoNet(network), [Gathered()], sgd), toy_data(3)
