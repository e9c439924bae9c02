from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.mapping import over_tasks
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import ANIL, BOIL, MAML
from lifelong.networks import MLP, Conv4, WithHead
from lifelong.networks.heads import apply_embedding, apply_features, apply_head, check_head, has_head


def net_and_other() -> tuple[nn.Module, nn.Module, dict[str, Tensor], Tensor]:
    """A network, the same with other weights, those weights as a learner names them, and inputs."""
    torch.manual_seed(0)
    net = WithHead(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), n_features=4, n_outputs=2)
    other = copy.deepcopy(net)
    for p in other.parameters():
        nn.init.normal_(p)
    params = {f"network.{name}": p for name, p in other.named_parameters()}
    return net, other, {**params, "temperature": torch.ones(1)}, torch.randn(5, 3)


def test_features_and_head_with_other_parameters() -> None:
    net, other, params, x = net_and_other()
    before = {name: p.clone() for name, p in net.named_parameters()}
    features = apply_features(net, params, x)
    torch.testing.assert_close(features, other.features(x))
    torch.testing.assert_close(apply_head(net, params, features), other(x))
    torch.testing.assert_close(apply_embedding(net, params, x), other.features(x))
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_each_part_depends_on_its_own_parameters_alone() -> None:
    net, _, params, x = net_and_other()
    asked = {name: p.detach().requires_grad_() for name, p in params.items()}
    features = apply_features(net, asked, x)
    gradients = torch.autograd.grad(features.sum(), list(asked.values()), allow_unused=True)
    reached = {name for name, gradient in zip(asked, gradients, strict=True) if gradient is not None}
    assert reached == {"network.body.0.weight", "network.body.0.bias"}
    output = apply_head(net, asked, features.detach())
    gradients = torch.autograd.grad(output.sum(), list(asked.values()), allow_unused=True)
    reached = {name for name, gradient in zip(asked, gradients, strict=True) if gradient is not None}
    assert reached == {"network.head.weight", "network.head.bias"}


def test_an_embedding_is_the_output_where_there_is_no_head() -> None:
    net, x = nn.Conv1d(1, 2, 1), torch.randn(5, 1, 3)
    params = {f"network.{name}": 2 * p for name, p in net.named_parameters()}
    torch.testing.assert_close(apply_embedding(net, params, x), 2 * net(x).flatten(1))


@pytest.mark.parametrize("net", [nn.Linear(3, 2), Conv4(n_filters=8, image_size=16)], ids=["no head", "no outputs"])
def test_a_network_without_a_head_is_refused_in_a_sentence(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=rf"ANIL needs .*{type(net).__name__} has none.*n_outputs.*WithHead"):
        check_head(net, "ANIL")


def test_a_network_with_a_head_passes() -> None:
    net = MLP(n_inputs=3, n_outputs=2)
    check_head(net, "ANIL")
    assert has_head(net)
    assert not has_head(net.body)


@pytest.mark.parametrize(("body", "found"), [(nn.Linear(3, 8), r"Linear computes \(8,\)"), (nn.Identity(), r"\(3,\)")])
def test_a_body_with_another_number_of_features_is_named(body: nn.Module, found: str) -> None:
    with pytest.raises(ValueError, match=rf"head for 6 features.*{found}.*n_features"):
        WithHead(body, n_features=6, n_outputs=2)(torch.zeros(2, 3))
    # A linear head would read the last axis of maps and answer for each place.
    with pytest.raises(ValueError, match="as vectors"):
        WithHead(nn.Conv2d(1, 2, 1), n_features=6, n_outputs=2)(torch.zeros(2, 1, 6, 6))


class Between(WithHead):
    """Something lies between the features and the head, or follows the head."""

    def __init__(self, place: str) -> None:
        torch.manual_seed(0)
        super().__init__(nn.Linear(3, 4), n_features=4, n_outputs=2)
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        if self.place == "before":
            return self.head(self.features(x).relu())  # type: ignore[no-any-return]
        return {"after": torch.tanh, "twice": self.head}[self.place](self.head(self.features(x)))  # type: ignore[operator]


@pytest.mark.parametrize("mapping", ["loop", "vmap"])
def test_features_are_what_the_head_receives(mapping: Any) -> None:
    net, x = Between("before"), torch.randn(2, 5, 3)
    params = {f"network.{name}": p.detach() + 0.1 for name, p in net.named_parameters()}

    def split(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = apply_features(net, params, x)
        assert features is not None
        return features, apply_head(net, params, features), apply_embedding(net, params, x)

    found = over_tasks(split, x, mapping=mapping)
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(params[f"network.{name}"])
    features = net.features(x.flatten(0, 1)).relu().reshape(2, 5, 4)
    assert (net.features(x[0]) < 0).any()
    torch.testing.assert_close(tuple(found), (features, net.head(features), features))
    assert not net.head._forward_hooks


@pytest.mark.parametrize("place", ["after", "twice"])
def test_a_network_that_is_no_head_on_features_has_neither(place: str) -> None:
    net, x = Between(place), torch.randn(5, 3)
    net.head = nn.Linear(4, 4) if place == "twice" else net.head
    params = {f"network.{name}": p for name, p in net.named_parameters()}
    assert apply_features(net, params, x) is None
    torch.testing.assert_close(apply_embedding(net, params, x), net(x))


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(("learner", "moves"), [(ANIL, "head"), (BOIL, "body")])
def test_inner_steps_descend_the_loss_of_the_whole_network(
    learner: type[MAML], moves: str, place: str, plan: PlanName
) -> None:
    net = Between(place).double()
    made = learner(net, n_inner_steps=1, inner_rate=0.5).double()
    x, y = torch.randn(3, 4, 3, dtype=torch.float64), torch.arange(2).repeat(3, 2)
    outputs = TaskRunner(plan=plan).outputs(made, made.meta_parameters(), Episode(x, y, x, y, torch.ones(3), 2))
    for inputs, labels, output in zip(x, y, outputs, strict=True):
        adapted = copy.deepcopy(net)
        moving = list(getattr(adapted, moves).parameters())
        gradients = torch.autograd.grad(nn.functional.cross_entropy(adapted(inputs), labels), moving)
        with torch.no_grad():
            for p, gradient in zip(moving, gradients, strict=True):
                p -= 0.5 * gradient
        torch.testing.assert_close(output, adapted(inputs))
