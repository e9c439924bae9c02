"""Captured graphs: when a learner may be trained by them. To capture needs a GPU."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.compute.cuda_graphs import Graphs
from lifelong.compute.plan import Plan
from lifelong.compute.runner import TaskRunner
from lifelong.learners import ANIL, IMAML, MAML, MetaSGD, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import WithHead
from lifelong.strategy import Chain
from strategies import EWC, AdapterBank
from tests.toys import random_episode

CUDA = torch.device("cuda")


def network() -> WithHead:
    return WithHead(nn.Linear(4, 4), n_features=4, n_outputs=3)


@pytest.mark.parametrize("learner", [MAML(network()), ANIL(network()), MetaSGD(network()), ProtoNet(nn.Linear(4, 4))])
def test_losses_of_parameters_and_batch_alone_may_be_captured(learner: Learner) -> None:
    assert TaskRunner().can_capture(learner, CUDA)
    assert not TaskRunner().can_capture(learner, torch.device("cpu"))
    assert not TaskRunner(recompute="tasks").can_capture(learner, CUDA)


class Untold(MAML):
    """A person's learner that says nothing about what its losses depend on."""


class Told(MAML):
    """One that says that they depend on no more than its parent's."""

    phase = MAML.phase


def test_a_learner_that_does_not_say_is_never_captured() -> None:
    assert not TaskRunner().can_capture(Untold(network()), CUDA)
    assert TaskRunner().can_capture(Told(network()), CUDA)
    assert not TaskRunner().can_capture(IMAML(network()), CUDA)


def test_changing_step_weights_and_orders_are_not_captured_stale() -> None:
    learner = MAML(network(), multi_step_loss_until=10)
    assert learner.phase() is None
    assert not TaskRunner().can_capture(learner, CUDA)
    assert MAML(network(), first_order_until=10).phase() != MAML(network()).phase()


@pytest.mark.parametrize(("strategy", "may"), [(EWC(), True), (AdapterBank(), False)])
def test_routed_parameters_are_not_captured(strategy: Any, may: bool) -> None:
    learner = ProtoNet(nn.Linear(4, 4))
    assert Chain([strategy]).bind(learner, TaskRunner()).can_capture(learner, CUDA) is may


def test_a_plan_with_a_graph_runs_where_nothing_is_captured() -> None:
    learner, batch = MAML(network()), random_episode()
    runner = TaskRunner().planned(Plan("vmap", graph=True))
    losses, _ = runner.training_losses(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(losses, TaskRunner().losses(learner, learner.meta_parameters(), batch))


def test_copies_of_a_runner_begin_without_graphs() -> None:
    runner = TaskRunner(cuda_graph=True)
    runner._graphs._captured["some"] = print
    copies = copy.deepcopy(runner), runner.rerouted(lambda p, *_: p), runner.planned(Plan("loop"))
    for other in (*copies, runner.without_graphs()):
        assert isinstance(other._graphs, Graphs)
        assert not other._graphs._captured
