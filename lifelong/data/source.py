"""The source contract: a data set that loads its domains and does nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lifelong.data.domain import Domain
from lifelong.utilities.recorded import Recorded


class Source(Recorded, ABC):
    """A data set: it knows how to load its domains and nothing about tasks, splits or strategies.

    Example:
        >>> import torch
        >>> class Toy(Source):
        ...     def domains(self):
        ...         return [Domain("toy", torch.rand(40, 2), np.arange(40) % 4, ["a", "b", "c", "d"])]
        >>> Toy().domains()[0].name
        'toy'
    """

    @abstractmethod
    def domains(self) -> list[Domain]:
        """Load the domains, in the order of the stream."""
