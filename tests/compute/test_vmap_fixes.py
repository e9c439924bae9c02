"""Convolutions as products of matrices: values and all derivatives, alone and where every task has its own kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from lifelong.compute import vmap_fixes as under_vmap
from lifelong.compute.mapping import over_tasks
from lifelong.compute.runner import TaskRunner
from lifelong.compute.vmap_fixes import convolve, is_batched
from lifelong.learners import MAML
from lifelong.networks import Conv4
from lifelong.networks.norm import batch_norm
from tests.toys import random_episode


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 0)), ((2, 2), (1, 1))])
def test_a_product_is_a_convolution_in_all_derivatives(stride: tuple[int, int], padding: tuple[int, int]) -> None:
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return convolve(x, weight, bias, stride, padding)

    torch.testing.assert_close(product(x, weight, bias), F.conv2d(x, weight, bias, stride, padding))
    assert gradcheck(product, (x, weight, bias))
    assert gradgradcheck(product, (x, weight, bias))


def test_tasks_with_kernels_of_their_own_learn_as_by_torchs_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = MAML(Conv4(n_filters=8, image_size=16, n_outputs=3), n_inner_steps=2).double()
    batch = random_episode(kind="image")
    found = []
    products = 0

    def as_on_a_gpu(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, *_: Any) -> Tensor:
        nonlocal products
        products += 1
        pair = under_vmap._pair
        return convolve(x, weight, bias, pair(stride), pair(padding))

    for plan in ("loop", "vmap"):
        runner = TaskRunner(plan=plan)
        if plan == "vmap":
            monkeypatch.setattr(under_vmap, "_conv2d", as_on_a_gpu)
        losses = runner.losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(learner.network.parameters()))))
    assert products == 12  # four convolutions in each of two inner steps and for the queries
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-7)


def test_what_vmap_runs_over_is_found_inside_a_gradient() -> None:
    seen = []

    def loss(weight: Tensor, shared: Tensor) -> Tensor:
        seen.append((is_batched(weight), is_batched(shared)))
        return (weight * shared).sum()

    shared = torch.ones(2)
    torch.func.vmap(lambda w: torch.func.grad(lambda v: loss(v, shared))(w))(torch.ones(3, 2))
    assert seen == [(True, False)]
    assert not is_batched(shared)


@pytest.mark.parametrize("network", [Conv4(n_filters=8, image_size=16), nn.Linear(16, 3)])
def test_autocast_has_the_same_in_halves_as_without_vmap(network: nn.Module) -> None:
    seen: list[list[torch.dtype]] = []
    hooks = [
        module.register_forward_hook(lambda module, given, output: seen[-1].append(output.dtype))
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    x, found = torch.rand(2, 6, 1, 16, 16), []
    for mapping in ("loop", "vmap"):
        seen.append([])
        with torch.autocast("cpu", torch.bfloat16):
            found.append(over_tasks(network, x, mapping=mapping))  # type: ignore[arg-type]
    for hook in hooks:
        hook.remove()
    assert set(seen[0]) == set(seen[1]) == {torch.bfloat16}
    torch.testing.assert_close(found[0].float(), found[1].float(), atol=0.05, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert over_tasks(network.double(), x.double(), mapping="vmap").dtype == torch.float64
    network.float()


def test_a_norm_of_halves_has_statistics_with_all_digits() -> None:
    x = (100 + torch.randn(2, 4, 3, 6, 6)).bfloat16()
    weight, bias = torch.ones(3), torch.zeros(3)
    found, expected = (
        over_tasks(lambda x: batch_norm(x, weight, bias), given, mapping="vmap") for given in (x, x.float())
    )
    torch.testing.assert_close(found, expected)
