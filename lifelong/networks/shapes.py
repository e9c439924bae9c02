"""Shape checks and feature counting for image networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lifelong.utilities.ranges import check_number


def check_images(x: Tensor, expected: tuple[int, int, int], network: str) -> None:
    """Reject a batch ``(n, *X)`` whose shape is not ``(n, *expected)``.

    Args:
        x: the batch.
        expected: channels, height and width.
        network: name of the network, for the error message.

    Raises:
        ValueError: when the shapes differ.
    """
    shape = tuple(x.shape[1:])
    if shape == expected:
        return
    if len(shape) != 3:
        raise ValueError(
            f"{network} takes images of shape {expected}, but the data has {shape}: set --model.network "
            "lifelong.networks.MLP"
        )
    raise ValueError(
        f"{network} takes images of shape {expected}, but the data has {shape}: set "
        f"--model.network.in_channels {shape[0]} --model.network.image_size {shape[-1]}"
    )


def check_sizes(**sizes: int | None) -> None:
    """Reject sizes of a network that are not positive integers.

    Args:
        sizes: sizes by the names of the network's arguments. None means that the network does not have this part.

    Raises:
        ValueError: when a size is invalid; the message names the option.
    """
    for name, size in sizes.items():
        check_number(f"--model.network.{name}", size, least=1, whole=True)


def count_features(network: nn.Module, features: Callable[[Tensor], Tensor], shape: tuple[int, int, int]) -> int:
    """Count the features ``D`` of a network in training mode, by a forward pass of blank images.

    Args:
        network: the network. Its running statistics are not changed.
        features: computes features from images ``(n, C, H, W)``: ``(n, D)``, or maps, all of whose elements count.
        shape: channels, height and width.

    Raises:
        ValueError: when the network cannot process such images, usually because they are too small.
    """
    network.eval()
    try:
        with torch.no_grad():
            n_features = features(torch.zeros(2, *shape))[0].numel()
    except (RuntimeError, AssertionError) as error:  # raised by torch and timm
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{type(network).__name__} cannot take images of {shape[1]}×{shape[2]} pixels ({reason}): set another "
            "--model.network.image_size and let the data have it"
        ) from error
    network.train()
    return n_features
