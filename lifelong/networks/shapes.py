"""What the networks for images share: refusing inputs of another shape, and counting their features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lifelong.utilities.ranges import check_number


def check_images(x: Tensor, expected: tuple[int, int, int], network: str) -> None:
    """Refuse a batch ``(n, *X)`` of another shape than ``(n, *expected)``.

    Args:
        x: the batch.
        expected: channels, height and width.
        network: its name, for the sentence.

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
    """Refuse a size of a network that is not a whole number from 1.

    Args:
        sizes: by the names of the network's arguments; None is a part that it does not have.

    Raises:
        ValueError: naming the option.
    """
    for name, size in sizes.items():
        check_number(f"--model.network.{name}", size, least=1, whole=True)


def count_features(network: nn.Module, features: Callable[[Tensor], Tensor], shape: tuple[int, int, int]) -> int:
    """Count the features ``D`` of a network in training mode, by trying it on blank images.

    Args:
        network: whose running statistics must not see the blank images.
        features: its ``(n, C, H, W)`` to ``(n, D)``, or to maps, of which all numbers count.
        shape: channels, height and width.

    Raises:
        ValueError: when the network cannot take such images, as a rule because they are too small.
    """
    network.eval()
    try:
        with torch.no_grad():
            n_features = features(torch.zeros(2, *shape))[0].numel()
    except (RuntimeError, AssertionError) as error:  # what torch and timm raise
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{type(network).__name__} cannot take images of {shape[1]}×{shape[2]} pixels ({reason}): set another "
            "--model.network.image_size and let the data have it"
        ) from error
    network.train()
    return n_features
