"""Captured graphs: when a learner may be trained by them. To capture needs a GPU."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.compute.cuda_graphs import Graphs, can_capture
from lifelong.compute.plan import Plan
from lifelong.learners import ANIL, IMAML, MAML, MetaSGD, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import WithHead
from lifelong.training.optimizer import OuterLoop
from strategies import EWC, AdapterBank
from tests.toys import fit, random_episode, toy_data

CUDA = torch.device("cuda")


def network() -> WithHead:
    return WithHead(nn.Linear(4, 4), n_features=4, n_outputs=3)


@pytest.mark.parametrize("learner", [MAML(network()), ANIL(network()), MetaSGD(network()), ProtoNet(nn.Linear(4, 4))])
def test_losses_of_parameters_and_batch_alone_may_be_captured(learner: Learner) -> None:
    assert can_capture(learner, CUDA)
    assert not can_capture(learner, torch.device("cpu"))
    learner.outer = OuterLoop(recompute="tasks")
    assert not can_capture(learner, CUDA)


class Untold(MAML):
    """A person's learner that says nothing about what its losses depend on."""


class Told(MAML):
    """One that says that they depend on no more than its parent's."""

    phase = MAML.phase


def test_a_learner_that_does_not_say_is_never_captured() -> None:
    assert not can_capture(Untold(network()), CUDA)
    assert can_capture(Told(network()), CUDA)
    assert not can_capture(IMAML(network()), CUDA)


def test_changing_weights_of_steps_are_not_captured_and_derivatives_of_another_order_anew() -> None:
    learner = MAML(network(), multi_step_loss_until=10)
    assert learner.phase() is None
    assert not can_capture(learner, CUDA)
    assert MAML(network(), first_order_until=10).phase() != MAML(network()).phase()


@pytest.mark.parametrize(("strategy", "may"), [(EWC(), True), (AdapterBank(), False)])
def test_routed_parameters_are_not_captured(strategy: Any, may: bool) -> None:
    learner = ProtoNet(nn.Linear(4, 4))
    learner.use([strategy])
    assert can_capture(learner, CUDA) is may


@pytest.mark.parametrize(("settings", "may"), [({}, True), ({"accumulate_grad_batches": 2}, False)])
def test_gradients_that_are_added_up_are_not_captured(settings: dict[str, int], may: bool) -> None:
    learner, seen = ProtoNet(nn.Linear(4, 4)), []
    begin = learner.on_train_epoch_start
    learner.on_train_epoch_start = lambda: (seen.append(can_capture(learner, CUDA)), begin())[1]  # type: ignore[method-assign]
    fit(learner, toy_data(1, steps_per_experience=2), **settings)
    assert seen == [may]


def test_where_nothing_can_be_captured_a_plan_with_a_graph_runs_as_without() -> None:
    learner, batch = MAML(network()), random_episode()
    learner.measured_plan = Plan("vmap", graph=True)
    losses, _ = learner.training_losses(learner.meta_parameters(), batch)
    torch.testing.assert_close(losses, learner.losses(learner.meta_parameters(), batch))


def test_a_copy_of_a_learner_begins_without_graphs() -> None:
    learner = MAML(network())
    learner._graphs._captured["some"] = print
    assert isinstance(copy.deepcopy(learner)._graphs, Graphs)
    assert not copy.deepcopy(learner)._graphs._captured
