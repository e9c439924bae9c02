"""Convolutions as products of matrices: values and all derivatives, alone and where every task has its own kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from lifelong.compute.convolution import convolve
from lifelong.compute.runner import TaskRunner
from lifelong.compute.vmap_fixes import FIXES, _pair
from lifelong.learners import MAML
from lifelong.networks import Conv4
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


def test_kernels_of_each_task_equal_torchs_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = MAML(Conv4(n_filters=8, image_size=16, n_outputs=3), n_inner_steps=2).double()
    batch = random_episode(kind="image")
    found = []
    products = 0

    def as_on_a_gpu(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, *_: Any) -> Tensor:
        nonlocal products
        products += 1
        return convolve(x, weight, bias, _pair(stride), _pair(padding))

    for plan in ("loop", "vmap"):
        runner = TaskRunner(plan=plan)
        if plan == "vmap":
            monkeypatch.setitem(FIXES, "conv2d", replace(FIXES["conv2d"], replacement=as_on_a_gpu))
        losses = runner.losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(learner.network.parameters()))))
    assert products == 12  # four convolutions in each of two inner steps and for the queries
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-7)
