"""Augmentation: random changes of training images, determined by their position in the stream.

Shapes: ``B`` units of ``S`` support and ``Q`` query images, ``n`` images of ``C`` channels, ``H`` rows and ``W``
columns, ``K`` random numbers for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.loaders import Drawn
from lifelong.data.sampling import generator
from lifelong.utilities.recorded import Recorded


class Augmentation(Recorded, ABC):
    """Change images, as a pure function of the images and of given random numbers.

    The random numbers are arguments, so that an image of a task is always changed in the same way, also after resuming
    and on any number of devices.

    Example:
        >>> class Darker(Augmentation):
        ...     n_numbers = 1
        ...     def __call__(self, x, numbers):
        ...         return x * numbers[:, :, None, None]
        >>> Darker()(torch.ones(2, 1, 1, 1), torch.tensor([[0.5], [0.25]])).flatten()
        tensor([0.5000, 0.2500])
    """

    n_numbers: ClassVar[int]
    """``K``: random numbers per image."""

    @abstractmethod
    def __call__(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Return ``n`` changed images of the same shape and classes.

        Args:
            x: ``(n, C, H, W)`` from 0 to 1.
            numbers: ``(n, K)`` uniform between 0 and 1.
        """


class Augmented(Drawn):
    """Store drawn training units whose images are augmented when they are gathered.

    Args:
        drawn: the units.
        augmentation: the augmentation.
        place: seed of the run and index of the experience.
        indices: ``B`` indices of the units in the experience.
    """

    def __init__(
        self, drawn: Drawn, augmentation: Augmentation, place: tuple[int, int], indices: Sequence[int]
    ) -> None:
        self.drawn, self.augmentation, self.place, self.indices = drawn, augmentation, place, indices

    def gather(self, device: torch.device) -> Episode:
        """Return the units on the device with independently augmented support and query images."""
        batch = self.drawn.gather(device)
        x = torch.cat([batch.support_x, batch.query_x], dim=1)
        seed, experience = self.place
        shape = (x.shape[1], self.augmentation.n_numbers)
        drawn = [generator(seed, "augment", experience, i).random(shape, dtype=np.float32) for i in self.indices]
        numbers = torch.from_numpy(np.stack(drawn)).to(device, non_blocking=True)
        x = self.augmentation(x.flatten(0, 1), numbers.flatten(0, 1)).view_as(x)
        n_support = batch.support_x.shape[1]
        return replace(batch, support_x=x[:, :n_support], query_x=x[:, n_support:])


def check_augmentable(domains: Sequence[Domain]) -> None:
    """Refuse to augment inputs that are not images with values from 0 to 1.

    Args:
        domains: the domains for training.

    Raises:
        ValueError: with the name of the first domain without such images.
    """
    for domain in domains:
        if domain.record is not None:
            continue
        if domain.x.dim() != 4:
            raise ValueError(
                f"--data.augmentation changes images, and {domain.name} has inputs of shape "
                f"{tuple(domain.x.shape[1:])}: leave it out (features, as datamodules.Encoded computes once, cannot be "
                "augmented any more)"
            )
        if domain.x.dtype != torch.uint8 and not (domain.x.amin() >= 0 and domain.x.amax() <= 1):
            raise ValueError(
                f"--data.augmentation changes images with values from 0 to 1, and those of {domain.name} have "
                f"{domain.x.amin():g} to {domain.x.amax():g}: leave it out, or give bytes or values from 0 to 1"
            )
