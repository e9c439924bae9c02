"""The four-block convolutional network of the few-shot literature."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "running", "group", "layer", "instance", "none"]


class Conv4(nn.Module):
    """Four blocks of 3×3 convolution, norm, ReLU and a halving of the size; then features or a linear head.

    Args:
        in_channels: channels of the images.
        n_filters: filters of every convolution.
        norm: ``batch`` normalises with the statistics of the batch at hand and keeps no running ones, so queries see
            each other (transductive); ``running`` evaluates with running statistics (inductive; not for learners that
            adapt by gradients); ``group`` (8 channels a group), ``layer`` and ``instance`` look at one image
            (inductive).
        pooling: ``max`` pools 2×2; ``stride`` convolves with stride 2 instead.
        readout: ``flatten`` keeps the last map's places apart, ``mean`` averages over them.
        image_size: height and width of the images in pixels.
        n_outputs: outputs of a linear head; None returns the features.

    Reference:
        Vinyals et al., "Matching Networks", NeurIPS 2016 (pooling); Finn et al., MAML, ICML 2017 (stride).

    Example:
        >>> Conv4(n_filters=8, image_size=16, n_outputs=5)(torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        n_filters: int = 64,
        norm: Norm = "batch",
        pooling: Literal["max", "stride"] = "max",
        readout: Literal["flatten", "mean"] = "flatten",
        image_size: int = 28,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        channels = [in_channels, *[n_filters] * 4]
        self.blocks = nn.Sequential(
            *(_block(before, after, norm, pooling) for before, after in itertools.pairwise(channels))
        )
        self.readout = readout
        self.n_features = _n_features(self)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """``(n, C, H, W)`` to ``(n, D)``."""
        if tuple(x.shape[1:]) != self.input_shape:
            channels, size = x.shape[1], x.shape[-1]
            raise ValueError(
                f"Conv4 takes images of shape {self.input_shape}, but the data has {tuple(x.shape[1:])}: set "
                f"--model.network.in_channels {channels} --model.network.image_size {size}"
            )
        maps: Tensor = self.blocks(x)
        return maps.mean((-2, -1)) if self.readout == "mean" else maps.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, C, H, W)`` to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class BatchNorm(nn.Module):
    """Normalise each channel with the statistics of the batch at hand, then scale and shift: no running statistics.

    Under ``vmap`` it is written out, because the second derivative of torch's fused ``batch_norm`` is wrong there
    (torch 2.13), which second-order MAML would notice; elsewhere the fused one is twice as fast on a CPU.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, C, H, W)`` to the same shape."""
        if not _inside_vmap():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        scale = (variance + 1e-5).rsqrt() * self.weight[:, None, None]
        return (x - mean) * scale + self.bias[:, None, None]


def _inside_vmap() -> bool:
    stack = torch._C._functorch.get_interpreter_stack() or []
    return any(level.key() == torch._C._functorch.TransformType.Vmap for level in stack)


def _block(n_in: int, n_out: int, norm: Norm, pooling: str) -> nn.Sequential:
    stride = 2 if pooling == "stride" else 1
    layers: list[nn.Module] = [nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1), _norm(norm, n_out), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pooling == "max" else []))


def _norm(norm: Norm, channels: int) -> nn.Module:
    match norm:
        case "batch":
            return BatchNorm(channels)
        case "running":
            return nn.BatchNorm2d(channels)
        case "group":
            return nn.GroupNorm(max(channels // 8, 1), channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "instance":
            return nn.GroupNorm(channels, channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"norm {norm!r} is unknown: use batch, running, group, layer, instance or none")


def _n_features(network: Conv4) -> int:
    # In evaluation mode, so that running statistics do not see the zeros.
    network.eval()
    with torch.no_grad():
        n_features = network.features(torch.zeros(2, *network.input_shape)).shape[1]
    network.train()
    return n_features
