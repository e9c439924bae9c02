"""What ``vmap`` does wrongly is right while it is written out; a canary for each fix fails once torch is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.convolution import convolve
from lifelong.compute.mapping import over_tasks
from lifelong.compute.vmap_fixes import FIXES, is_batched, is_written_out, written_out
from lifelong.networks import Conv4
from lifelong.networks.norm import batch_norm

# -- canaries: a test that fails here says that torch is right now, and its fix can go ---------------------------------

Norm = Callable[[Tensor, Tensor, Tensor], Tensor]
NORMS: dict[str, Norm] = {
    "layer_norm": lambda x, weight, bias: F.layer_norm(x, (4,), weight, bias),
    "batch_norm": lambda x, weight, bias: F.batch_norm(x, None, None, weight, bias, training=True),
    "instance_norm": lambda x, weight, bias: F.instance_norm(x.movedim(-1, 1), None, None, weight, bias),
    "group_norm": lambda x, weight, bias: F.group_norm(x.movedim(-1, 1), 2, weight, bias),
    "rms_norm": lambda x, weight, bias: F.rms_norm(x, (4,), weight),
}


def derivative_of_weight_gradient(norm: Norm, mapping: str) -> Tensor:
    """Of the squared gradient of each task's weight with respect to the task's input ``(2, 5, 3, 4)``."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 4, dtype=torch.float64) if norm is NORMS["batch_norm"] else None
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64) if x is None else x
    x.requires_grad_()
    weight, bias = 0.5 + torch.rand(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)

    def square(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        return torch.func.grad(lambda weight: norm(x, weight, bias).pow(3).sum())(weight).square().sum()

    if mapping == "vmap":
        squares = torch.func.vmap(square)(weight, bias, x)
    else:
        squares = torch.stack([square(*task) for task in zip(weight, bias, x, strict=True)])
    return torch.autograd.grad(squares.sum(), x)[0]


@pytest.mark.parametrize("name", ["layer_norm", "batch_norm", "instance_norm"])
def test_canary_second_derivatives_of_norms(name: str) -> None:
    wrong, right = (derivative_of_weight_gradient(NORMS[name], mapping) for mapping in ("vmap", "loop"))
    assert not torch.allclose(wrong, right, rtol=1e-2)


@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives_of_norms_are_right_written_out(name: str) -> None:
    right = derivative_of_weight_gradient(NORMS[name], "loop")
    if name in FIXES:
        with written_out():
            found = derivative_of_weight_gradient(NORMS[name], "vmap")
    else:  # torch's own has no fix and needs none
        found = derivative_of_weight_gradient(NORMS[name], "vmap")
    torch.testing.assert_close(found, right)


def halves(layer: nn.Module, shape: tuple[int, ...]) -> torch.dtype:
    with torch.autocast("cpu", torch.bfloat16):
        output: Tensor = torch.func.vmap(layer)(torch.ones(2, *shape))
    return output.dtype


def test_canary_linear_under_autocast() -> None:
    layer = nn.Linear(2, 3)
    assert halves(layer, (5, 2)) == torch.float32
    with written_out():
        assert halves(layer, (5, 2)) == torch.bfloat16


def test_canary_conv2d_under_autocast() -> None:
    layer = nn.Conv2d(1, 2, 3)
    assert halves(layer, (5, 1, 6, 6)) == torch.float32
    with written_out():
        assert halves(layer, (5, 1, 6, 6)) == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_canary_conv2d_of_many_kernels_on_a_gpu() -> None:
    x, weight = torch.randn(32, 25, 64, 14, 14, device="cuda"), torch.randn(32, 64, 64, 3, 3, device="cuda")
    padded: dict[str, Any] = {"padding": (1, 1)}

    def seconds(function: Callable[..., Tensor]) -> float:
        mapped, times = torch.func.vmap(lambda x, weight: function(x, weight, None, **padded)), []
        for _ in range(4):
            torch.cuda.synchronize()
            since = time.perf_counter()
            mapped(x, weight)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - since)
        return min(times)

    assert seconds(F.conv2d) > seconds(convolve)


def test_canary_norms_of_channels_last_weights() -> None:
    # Why TaskRunner.lay_out lays weights out contiguously for vmap (pytorch/pytorch#49303).
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4))
    x = torch.randn(3, 2, 2, 6, 6)
    assert torch.func.vmap(network)(x).shape == (3, 2, 4, 4, 4)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with pytest.raises(RuntimeError, match="NYI: querying is_contiguous inside of vmap"):
        torch.func.vmap(network)(x)


def test_canary_batch_norm_of_halves() -> None:
    # Why lifelong.networks.norm.batch_norm takes its statistics in the type of its weight.
    x, weight, bias = (100 + torch.randn(2, 4, 3, 6, 6)).bfloat16(), torch.ones(3), torch.zeros(3)
    found = torch.func.vmap(lambda x: F.batch_norm(x, None, None, weight, bias, training=True))(x)
    expected = torch.stack([F.batch_norm(task.float(), None, None, weight, bias, training=True) for task in x])
    assert not torch.allclose(found.float(), expected, atol=0.02)


# -- the fixes ---------------------------------------------------------------------------------------------------------


def test_functions_are_replaced_inside_the_block_alone() -> None:
    def current() -> dict[str, Any]:
        return {name: getattr(F, name) for name in FIXES}

    originals = {name: fix.original for name, fix in FIXES.items()}

    def fail_inside() -> None:
        with written_out():
            assert current() == {name: fix.replacement for name, fix in FIXES.items()}
            with written_out():
                assert is_written_out()
            assert is_written_out()
            raise KeyError

    assert current() == originals
    with pytest.raises(KeyError):
        fail_inside()
    assert not is_written_out()
    assert current() == originals


@pytest.mark.parametrize("name", FIXES)
def test_each_fix_says_what_is_wrong_and_where_it_is_reported(name: str) -> None:
    fix = FIXES[name]
    assert fix.wrong
    assert fix.version
    assert fix.issue.startswith("pytorch/")


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
