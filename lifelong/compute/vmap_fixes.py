"""Replacements of torch functions that ``vmap`` computes wrongly or slowly; they are active only while it runs.

This is the only file that assigns to ``torch.nn.functional``. Each :class:`Fix` states the problem and the torch
version in which it was observed. ``tests/compute/test_vmap_fixes.py`` has a canary for each that fails once torch is
fixed; then the replacement can be removed. Two more limitations of torch are handled elsewhere: ``vmap`` does not
support norms of channels-last weights (``TaskRunner.lay_out``) and cannot map some modules
(``lifelong.compute.plan.WITHOUT_RULE``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.convolution import convolve


@dataclass(frozen=True)
class Fix:
    """A replacement of a function of ``torch.nn.functional`` while ``vmap`` runs.

    Args:
        original: torch's function.
        replacement: the function used instead.
        wrong: what torch does wrongly or slowly.
        version: the latest version of torch in which this was observed.
        issue: where it is reported.
    """

    original: Callable[..., Tensor]
    replacement: Callable[..., Tensor]
    wrong: str
    version: str
    issue: str


_ORIGINAL_LAYER_NORM, _ORIGINAL_CONV2D, _ORIGINAL_LINEAR = F.layer_norm, F.conv2d, F.linear


def _layer_norm(
    x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    return _scaled(_ORIGINAL_LAYER_NORM(x, shape, eps=eps), weight, bias)


def _channel_norm(
    fused: Callable[..., Tensor],
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *more: Any,
    **settings: Any,
) -> Tensor:
    shape = (-1, *(1 for _ in x.shape[2:]))
    weight, bias = (None if part is None else part.view(shape) for part in (weight, bias))
    return _scaled(fused(x, running_mean, running_var, None, None, *more, **settings), weight, bias)


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    x, weight, bias = _as_autocast_has_it(x, weight, bias)
    plain = x.dim() == 4 and groups == 1 and not isinstance(padding, str) and _pair(dilation) == (1, 1)
    if not (plain and x.device.type == "cuda" and is_batched(weight)):
        return _ORIGINAL_CONV2D(x, weight, bias, stride, padding, dilation, groups)
    return convolve(x, weight, bias, _pair(stride), _pair(padding))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return _ORIGINAL_LINEAR(*_as_autocast_has_it(x, weight, bias))


def _as_autocast_has_it(x: Tensor, *parameters: Tensor | None) -> Any:
    """Return the tensors in the precision that autocast would use without ``vmap``."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, *parameters
    dtype = torch.get_autocast_dtype(kind)
    return tuple(t if t is None or t.dtype == torch.float64 else t.to(dtype) for t in (x, *parameters))


_WEIGHT_GRADIENT = (
    "where every task has a weight of its own, the derivative of the weight's gradient with respect to the input is "
    "wrong, silently: second-order MAML of two inner steps meets it"
)
_AUTOCAST = "autocast leaves it, or its bias, in single precision"
FIXES: dict[str, Fix] = {
    "layer_norm": Fix(_ORIGINAL_LAYER_NORM, _layer_norm, _WEIGHT_GRADIENT, "2.13", "pytorch/functorch#534"),
    "batch_norm": Fix(
        F.batch_norm, partial(_channel_norm, F.batch_norm), _WEIGHT_GRADIENT, "2.13", "pytorch/functorch#534"
    ),
    "instance_norm": Fix(
        F.instance_norm, partial(_channel_norm, F.instance_norm), _WEIGHT_GRADIENT, "2.13", "pytorch/functorch#534"
    ),
    "linear": Fix(_ORIGINAL_LINEAR, _linear, _AUTOCAST, "2.13", "pytorch/pytorch#192617"),
    "conv2d": Fix(
        _ORIGINAL_CONV2D,
        _conv2d,
        f"{_AUTOCAST}; on a GPU it is slow where every task has kernels of its own, as a convolution of many groups",
        "2.13",
        "pytorch/pytorch#192617, pytorch/functorch#365",
    ),
}
"""All replacements, by the function's name in ``torch.nn.functional``."""


@contextmanager
def written_out() -> Iterator[None]:
    """Replace the functions of :data:`FIXES` within the block, in which ``vmap`` runs.

    The replacement affects the whole process. A ``TorchFunctionMode`` would not, but it would slow down every operation
    of a small network.

    Example:
        >>> with written_out():
        ...     is_written_out()
        True
    """
    before = {name: getattr(F, name) for name in FIXES}
    try:
        for name, fix in FIXES.items():
            setattr(F, name, fix.replacement)
        yield
    finally:
        for name, function in before.items():
            setattr(F, name, function)


def is_written_out() -> bool:
    """Return whether the functions of :data:`FIXES` are currently replaced."""
    return F.layer_norm is _layer_norm


def is_batched(x: Tensor) -> bool:
    """Return whether ``vmap`` maps over a tensor, possibly inside other transforms of ``torch.func``."""
    functorch = torch._C._functorch
    while functorch.is_gradtrackingtensor(x):
        x = functorch.get_unwrapped(x)
    return functorch.is_batchedtensor(x)


def active_transforms() -> set[str]:
    """Return the active transforms of ``torch.func``: ``Grad``, ``Vmap``, ``Jvp``.

    Example:
        >>> torch.func.grad(lambda x: print(active_transforms()) or x)(torch.tensor(1.0))
        {'Grad'}
        tensor(1.)
    """
    return {level.key().name for level in torch._C._functorch.get_interpreter_stack() or []}


def _pair(setting: Any) -> tuple[int, int]:
    return (setting, setting) if isinstance(setting, int) else (setting[0], setting[1])
