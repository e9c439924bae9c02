import pytest
import torch
from torch import nn

from lifelong.compute.runner import PlanName
from lifelong.learners import ANIL
from tests.learners.exactness import check_finite_differences, check_two_layer_case, only_task, two_layer_case
from tests.toys import make_learner, random_episode


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
def test_meta_gradient_equals_the_closed_form(first_order: bool, plan: PlanName) -> None:
    net, batch, hand = two_layer_case("head")
    learner = ANIL(net, task="regression", n_inner_steps=1, first_order=first_order).double()
    check_two_layer_case(learner, batch, hand, "first order " if first_order else "", plan)


@pytest.mark.parametrize("kind", ["vector", "regression"])
def test_meta_gradient_equals_finite_differences(kind: str) -> None:
    check_finite_differences(make_learner("ANIL", kind, n_inner_steps=3, learn_inner_rate=True), random_episode(kind))


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_the_inner_loop_moves_the_head_alone(kind: str) -> None:
    learner, batch = make_learner("ANIL", kind), random_episode(kind, n_tasks=1)
    params, task = learner.meta_parameters(), only_task(learner, batch)
    state = learner.adapt(params, task.support_x, task.support_y)
    assert all(torch.equal(p, params[name]) != name.startswith("network.head.") for name, p in state.items())


def test_only_the_head_has_rates() -> None:
    assert set(make_learner("ANIL").inner_rates) == {"head-weight", "head-bias"}  # type: ignore[arg-type]


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ANIL needs a network with features and a head .*WithHead"):
        ANIL(nn.Linear(2, 2))
