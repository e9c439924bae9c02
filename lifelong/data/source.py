"""The source contract: a data set that loads its domains and does nothing else."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

from typing_extensions import Self

from lifelong.data.domain import Domain
from lifelong.data.reader import Reader
from lifelong.utilities.recorded import Recorded


class Source(Recorded, ABC):
    """Load the domains of a data set; it knows nothing of tasks, splits or strategies.

    Example:
        >>> import numpy as np
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

    def reader(self) -> Reader | None:
        """Return how what a person has becomes an example of its domains; None, the default, where nothing does."""
        return None


@runtime_checkable
class FollowsSeed(Protocol):
    """Let the domains of a source follow the seed of the run, or those of a source inside it."""

    def with_seed(self, seed: int) -> Source:
        """Return the source of a run with this seed; the source itself where nothing in it follows the run."""


class SourceWrapper(Source):
    """Change the domains of another source.

    Args:
        source: the other source.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def with_seed(self, seed: int) -> Self:
        """Return the wrapper around the source of a run with this seed; itself where nothing follows the run."""
        source = with_seed(self.source, seed)
        if source is self.source:
            return self
        wrapper = copy.copy(self)
        wrapper.source = source
        return wrapper


def with_seed(source: Source, seed: int) -> Source:
    """Return a source as a run of this seed sees it: the source itself unless it follows the run's seed."""
    return source.with_seed(seed) if isinstance(source, FollowsSeed) else source
