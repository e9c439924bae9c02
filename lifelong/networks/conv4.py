"""The four-block convolutional network of the few-shot literature."""

from __future__ import annotations

import itertools
from typing import Literal

from torch import Tensor, nn

from lifelong.networks.fused_batch_norm import FusedBatchNorm, fused_norm_layer, pooled_batch_norm
from lifelong.networks.norm import Norm, norm_layer, takes_means_away
from lifelong.networks.shapes import check_images, check_sizes, count_features
from lifelong.utilities.recorded import Recorded


class Conv4(Recorded, nn.Module):
    """Four blocks of 3×3 convolution, norm, ReLU and a halving of the size; then features or a linear head.

    Args:
        in_channels: number of channels of the images.
        n_filters: number of filters of every convolution.
        norm: kind of norm layer. ``batch`` uses the statistics of the current batch and no running ones, so a
            prediction depends on other queries (transductive); ``running`` uses running statistics in evaluation
            (inductive; not for learners that adapt by gradients); ``group`` (8 channels per group), ``layer`` and
            ``instance`` normalise each image separately (inductive).
        pooling: ``max`` pools 2×2; ``stride`` uses convolutions with stride 2 instead.
        readout: ``flatten`` concatenates all positions of the last map, ``mean`` averages over them, ``maps`` returns
            the maps ``(n, C, H, W)``, for learners that compare maps.
        image_size: height and width of the images in pixels.
        n_outputs: outputs of a linear head. If None, the network returns the features.
        n_halvings: the first ``n_halvings`` blocks halve the size. Relation networks use 2.
        fused: pool before the ReLU, and compute batch norm and pooling as one operation. The function and its
            parameters are the same, and it is faster on a CPU. Hooks of these layers are then not called.

    Raises:
        ValueError: when ``n_outputs`` is set with ``readout: maps``, or the norm is unknown.

    Reference:
        Vinyals et al., "Matching Networks", NeurIPS 2016 (pooling); Finn et al., MAML, ICML 2017 (stride).

    Example:
        >>> import torch
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
        readout: Literal["flatten", "mean", "maps"] = "flatten",
        image_size: int = 28,
        n_outputs: int | None = None,
        n_halvings: int = 4,
        fused: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, n_filters=n_filters, image_size=image_size, n_outputs=n_outputs)
        if readout == "maps" and n_outputs is not None:
            raise ValueError(
                f"Conv4 has readout maps and a head of {n_outputs} outputs, but a head reads vectors: leave out "
                "--model.network.n_outputs, or set --model.network.readout flatten"
            )
        self.input_shape = (in_channels, image_size, image_size)
        channels = [in_channels, *[n_filters] * 4]
        self.blocks = nn.Sequential(
            *(
                conv_block(before, after, norm, pooling if number < n_halvings else "none", fused=fused)
                for number, (before, after) in enumerate(itertools.pairwise(channels))
            )
        )
        self.readout = readout
        self.n_features = count_features(self, self.features, self.input_shape)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, D)``, or to maps if the readout is ``maps``."""
        check_images(x, self.input_shape, "Conv4")
        maps: Tensor = self.blocks(x)
        if self.readout == "maps":
            return maps
        return maps.mean((-2, -1)) if self.readout == "mean" else maps.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``features(x)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


class FusedBlock(nn.Sequential):
    """Run convolution, norm, pooling and ReLU, in this order, with batch norm and pooling as one operation.

    Hooks of the two are not called; those of the convolution and of the block are.

    Example:
        >>> import torch
        >>> conv_block(1, 8, "batch", "max", fused=True)(torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 8, 8, 8])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to maps."""
        convolution, norm, *rest = self
        maps = convolution(x)
        if isinstance(norm, FusedBatchNorm) and isinstance(rest[0], nn.MaxPool2d):
            maps, rest = pooled_batch_norm(maps, norm.weight, norm.bias), rest[1:]
        else:
            maps = norm(maps)
        for layer in rest:
            maps = layer(maps)
        return maps  # type: ignore[no-any-return]


def conv_block(
    n_in: int, n_out: int, norm: Norm, pooling: Literal["max", "stride", "none"], *, fused: bool = False
) -> nn.Sequential:
    """Return a block of 3×3 convolution, norm, ReLU and pooling.

    Args:
        n_in: number of input channels.
        n_out: number of filters.
        norm: one of :data:`~lifelong.networks.norm.Norm`.
        pooling: ``max`` and ``stride`` halve the size, ``none`` keeps it.
        fused: pool before the ReLU, in one operation with batch norm. The function is the same.

    Example:
        >>> [type(layer).__name__ for layer in conv_block(1, 8, "batch", "max")]
        ['Conv2d', 'BatchNorm', 'ReLU', 'MaxPool2d']
    """
    convolution = nn.Conv2d(n_in, n_out, 3, stride=2 if pooling == "stride" else 1, padding=1)
    if takes_means_away(norm):
        convolution.bias = None  # removed after drawing it, so that the weights of a seed do not depend on the norm
    pool = [nn.MaxPool2d(2)] if pooling == "max" else []
    if fused:
        # Max pooling and ReLU commute, and after pooling only a quarter of the numbers remain.
        return FusedBlock(convolution, fused_norm_layer(norm, n_out), *pool, nn.ReLU())
    return nn.Sequential(convolution, norm_layer(norm, n_out), nn.ReLU(), *pool)
