"""What ``vmap`` runs wrongly or slowly, written out in what it runs well, while it runs.

Shapes: ``n`` images, ``C`` channels, ``H × W`` pixels, ``O`` output channels of ``h × w`` pixels, ``k × l`` a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FUSED: dict[str, Callable[..., Tensor]] = {
    "layer_norm": F.layer_norm,
    "batch_norm": F.batch_norm,
    "instance_norm": F.instance_norm,
    "conv2d": F.conv2d,
    "linear": F.linear,
}
"""Torch's own: norms whose second derivative ``vmap`` gets wrong, silently, where they also scale and shift (torch
2.13); the convolution that it runs slowly on a GPU where each task has its own kernels; and the two that it leaves in
single precision under autocast."""


@contextmanager
def written_out() -> Iterator[None]:
    """While ``vmap`` runs, functions of torch that it does not do justice are written out in others."""
    # Not a TorchFunctionMode, which would stand in the way of every operation of a small network.
    apart = {
        "layer_norm": _layer_norm,
        "batch_norm": partial(_channel_norm, FUSED["batch_norm"]),
        "instance_norm": partial(_channel_norm, FUSED["instance_norm"]),
        "conv2d": _conv2d,
        "linear": _linear,
    }
    before = {name: getattr(F, name) for name in FUSED}
    try:
        for name, function in apart.items():
            setattr(F, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(F, name, function)


def is_written_out() -> bool:
    """Whether functions of torch are written out in others at this moment."""
    return F.layer_norm is _layer_norm


def _layer_norm(
    x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    return _scaled(FUSED["layer_norm"](x, shape, eps=eps), weight, bias)


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
        return FUSED["conv2d"](x, weight, bias, stride, padding, dilation, groups)
    return convolve(x, weight, bias, _pair(stride), _pair(padding))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return FUSED["linear"](*_as_autocast_has_it(x, weight, bias))


def _as_autocast_has_it(x: Tensor, *parameters: Tensor | None) -> Any:
    """The same under autocast as without ``vmap``, which autocast does not see through here."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, *parameters
    dtype = torch.get_autocast_dtype(kind)
    return tuple(t if t is None or t.dtype == torch.float64 else t.to(dtype) for t in (x, *parameters))


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """A convolution as one matrix product: kernels ``(O, C k l)`` times all patches ``(C k l, n h w)``.

    Where every task has kernels of its own, ``vmap`` makes one batched product of it; of torch's convolution it makes
    one with as many groups as tasks, which cuDNN has no fast way to run.

    Args:
        x: images ``(n, C, H, W)``.
        weight: kernels ``(O, C, k, l)``.
        bias: ``(O,)``.
        stride: of the patches, down and across.
        padding: zeros around the images, above and beside.

    Returns:
        ``(n, O, h, w)``.

    Example:
        >>> x, weight = torch.randn(2, 3, 5, 5), torch.randn(4, 3, 3, 3)
        >>> torch.allclose(convolve(x, weight, None, (2, 2), (1, 1)), F.conv2d(x, weight, None, 2, 1), atol=1e-5)
        True
    """
    x = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).transpose(0, 1)
    patches: Tensor = Patches.apply(x, weight.shape[2:], stride)  # type: ignore[no-untyped-call]
    n_channels, k, across, n, height, width = patches.shape[-6:]
    product = weight.reshape(weight.shape[0], -1) @ patches.reshape(n_channels * k * across, n * height * width)
    if bias is not None:
        product = product + bias[:, None]
    return product.reshape(-1, n, height, width).transpose(0, 1)


class Patches(torch.autograd.Function):
    """The patches ``(…, k, l, n, h, w)`` of images ``(…, n, H, W)`` that a kernel of ``k × l`` meets, by one copy.

    Its derivative adds patches up again (:class:`Overlaid`), whose derivative takes them: all orders are there.
    """

    @staticmethod
    def forward(x: Tensor, kernel: Sequence[int], stride: tuple[int, int]) -> Tensor:
        """Copy the patches."""
        windows = x.unfold(-2, kernel[0], stride[0]).unfold(-2, kernel[1], stride[1])
        return torch.movedim(windows, (-2, -1), (-5, -4)).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Note the shapes."""
        x, kernel, stride = inputs
        ctx.about = (tuple(x.shape[-2:]), kernel, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Add the patches of the gradient up."""
        size, _, stride = ctx.about
        return Overlaid.apply(gradient, size, stride), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, kernel: Sequence[int], stride: tuple[int, int]) -> Any:
        """Any leading dimensions will do."""
        return Patches.apply(x.movedim(in_dims[0], 0), kernel, stride), 0  # type: ignore[no-untyped-call]


class Overlaid(torch.autograd.Function):
    """Images ``(…, n, H, W)``, the sums of patches ``(…, k, l, n, h, w)`` where they overlap."""

    @staticmethod
    def forward(patches: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Tensor:
        """Add one place of the kernel after the other."""
        *leading, k, across, n, height, width = patches.shape
        images = patches.new_zeros(*leading, n, *size)
        for down in range(k):
            rows = slice(down, down + stride[0] * (height - 1) + 1, stride[0])
            for right in range(across):
                columns = slice(right, right + stride[1] * (width - 1) + 1, stride[1])
                images[..., rows, columns] += patches[..., down, right, :, :, :]
        return images

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Note the shapes."""
        patches, _, stride = inputs
        ctx.about = (tuple(patches.shape[-5:-3]), stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Take the patches of the gradient."""
        return Patches.apply(gradient, *ctx.about), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: Any, patches: Tensor, size: tuple[int, int], stride: tuple[int, int]) -> Any:
        """Any leading dimensions will do."""
        return Overlaid.apply(patches.movedim(in_dims[0], 0), size, stride), 0  # type: ignore[no-untyped-call]


def is_batched(x: Tensor) -> bool:
    """Whether ``vmap`` runs over a tensor, whatever else ``torch.func`` does with it."""
    functorch = torch._C._functorch
    while functorch.is_gradtrackingtensor(x):
        x = functorch.get_unwrapped(x)
    return functorch.is_batchedtensor(x)


def active_transforms() -> set[str]:
    """Return what ``torch.func`` does at this moment: ``Grad``, ``Vmap``, ``Jvp``.

    Example:
        >>> torch.func.grad(lambda x: print(active_transforms()) or x)(torch.tensor(1.0))
        {'Grad'}
        tensor(1.)
    """
    return {level.key().name for level in torch._C._functorch.get_interpreter_stack() or []}


def _pair(setting: Any) -> tuple[int, int]:
    return (setting, setting) if isinstance(setting, int) else (setting[0], setting[1])
