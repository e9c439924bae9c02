"""Fused batch norm, with pooling and without, and networks of it: values and all derivatives are the textbook's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.compute.second_order import is_second_order, second_order
from lifelong.learners import MAML
from lifelong.networks import Conv4, ResNet12, fused_batch_norm
from lifelong.networks.fused_batch_norm import pooled_batch_norm
from tests.toys import random_episode

NORMS = ["batch", "running", "group", "layer", "instance", "none"]
MAKE: dict[str, Callable[..., nn.Module]] = {
    "Conv4": partial(Conv4, n_filters=4),
    "ResNet12": partial(ResNet12, in_channels=1, widths=[4, 4, 8, 8]),
}
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


def by_torch(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def pooled_by_torch(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.max_pool2d(by_torch(x, weight, bias), 2)


PAIRS = [(fused_batch_norm.fused_batch_norm, by_torch), (pooled_batch_norm, pooled_by_torch)]


@pytest.fixture(autouse=True)
def small_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_batch_norm, "WORTH_IT", 1)


@pytest.fixture
def given() -> tuple[Tensor, Tensor, Tensor]:
    """Maps of odd size, weights above 0 and biases."""
    torch.manual_seed(0)
    x = torch.randn(3, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    weight = (0.5 + torch.rand(2, dtype=torch.float64)).requires_grad_()
    return x, weight, torch.randn(2, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_derivatives_are_those_of_torch(
    ours: Function, theirs: Function, twice: bool, layout: torch.memory_format, given: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, weight, bias = given
    x = x.detach().to(memory_format=layout).requires_grad_()
    with second_order() if twice else nullcontext():
        torch.testing.assert_close(ours(x, weight, bias), theirs(x, weight, bias))
        once = [torch.autograd.grad(f(x, weight, bias).pow(3).sum(), (x, weight, bias)) for f in (ours, theirs)]
        torch.testing.assert_close(*once)
        assert gradcheck(ours, (x, weight, bias))
        assert gradgradcheck(ours, (x, weight, bias))


@pytest.mark.parametrize("twice", [True, False])
def test_where_a_weight_is_not_above_zero_pooling_comes_last(twice: bool, given: tuple[Tensor, Tensor, Tensor]) -> None:
    x, _, bias = given
    for weight in (torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.0, 1.0]).double()):
        with second_order(twice):
            torch.testing.assert_close(pooled_batch_norm(x, weight, bias), pooled_by_torch(x, weight, bias))


def both(make: Callable[..., nn.Module], **settings: Any) -> list[nn.Module]:
    """The textbook network and the fused one, with the same parameters."""
    networks = []
    for fused in (False, True):
        torch.manual_seed(0)
        networks.append(make(**settings, image_size=16, n_outputs=3, fused=fused))
    return networks


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("make", MAKE)
def test_a_fused_network_has_the_textbooks_parameters(make: str, norm: str) -> None:
    textbook, fused = (network.state_dict() for network in both(MAKE[make], norm=norm))
    assert list(textbook) == list(fused)
    assert all(torch.equal(textbook[name], fused[name]) for name in textbook)


def test_conv4_is_the_textbooks_by_default() -> None:
    textbook, fused = (
        [type(layer).__name__ for layer in network.blocks[0]]  # type: ignore[index, union-attr]
        for network in both(MAKE["Conv4"])
    )
    assert textbook == ["Conv2d", "BatchNorm", "ReLU", "MaxPool2d"]
    assert fused == ["Conv2d", "FusedBatchNorm", "MaxPool2d", "ReLU"]


@pytest.mark.parametrize("plan", ["loop", "vmap"])
@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        *(("Conv4", {"norm": norm}) for norm in NORMS if norm != "running"),
        ("Conv4", {"pooling": "stride"}),
        ("ResNet12", {}),
    ],
)
def test_a_fused_network_learns_as_the_textbooks(
    make: str, settings: dict[str, Any], first_order: bool, plan: PlanName
) -> None:
    batch, found = random_episode(kind="image"), []
    for network in both(MAKE[make], **settings):
        learner = MAML(network, n_inner_steps=2, first_order=first_order).double()
        losses = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(network.parameters()))))
    torch.testing.assert_close(found[0], found[1], atol=1e-10, rtol=1e-8)


def test_a_fused_network_trains_running_statistics_alike() -> None:
    textbook, fused = both(MAKE["Conv4"], norm="running")
    x = torch.randn(6, 1, 16, 16)
    torch.testing.assert_close(textbook(x), fused(x))
    torch.testing.assert_close(dict(textbook.named_buffers()), dict(fused.named_buffers()))
    torch.testing.assert_close(textbook.eval()(x), fused.eval()(x))


@pytest.mark.parametrize(("first_order", "taken"), [(True, 0), (False, 8)])
def test_the_second_derivative_is_ours_where_it_is_taken(
    first_order: bool, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    scaled = fused_batch_norm._scaled
    monkeypatch.setattr(fused_batch_norm, "_scaled", lambda *given: calls.append(1) or scaled(*given))
    network = Conv4(n_filters=4, image_size=16, n_outputs=3, fused=True)
    learner = MAML(network, n_inner_steps=2, first_order=first_order)
    batch = random_episode(kind="image")
    TaskRunner(plan="loop").losses(learner, learner.meta_parameters(), batch)
    assert len(calls) == taken * len(batch)  # four norms in each of two inner steps
    with torch.no_grad():
        TaskRunner(plan="loop").losses(learner, learner.meta_parameters(), batch)
    assert len(calls) == taken * len(batch)  # nothing is differentiated again in evaluation


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of torch's own tangents
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_tangents_are_those_of_torch(ours: Function, theirs: Function, given: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, bias = (tensor.detach() for tensor in given)
    one, other = (torch.func.jvp(f, (x, weight, bias), (x.flip(0), bias, weight)) for f in (ours, theirs))
    torch.testing.assert_close(one, other)


def test_other_precision_than_the_parameters_is_left_to_torch() -> None:
    x, weight, bias = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16), torch.ones(3), torch.zeros(3)
    assert pooled_batch_norm(x, weight, bias).dtype == torch.bfloat16


def test_second_order_ends_with_its_block() -> None:
    with second_order():
        with second_order(False):
            assert not is_second_order()
        assert is_second_order()
    assert not is_second_order()
