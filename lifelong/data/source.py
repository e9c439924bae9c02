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
    """Load the domains of a data set, independently of tasks, splits and strategies.

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
        """Return the reader that converts a user's photo or text to an example of its domains. Default: None."""
        return None


@runtime_checkable
class FollowsSeed(Protocol):
    """Describe a source whose domains, or those of a wrapped source, can depend on the seed of the run."""

    def with_seed(self, seed: int) -> Source:
        """Return the source for a run with this seed; the source itself if it does not depend on the run."""


class SourceWrapper(Source):
    """Change the domains of another source.

    Args:
        source: the other source.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def with_seed(self, seed: int) -> Self:
        """Return the wrapper for a run with this seed; itself if its source does not depend on the run."""
        source = with_seed(self.source, seed)
        if source is self.source:
            return self
        wrapper = copy.copy(self)
        wrapper.source = source
        return wrapper


def with_seed(source: Source, seed: int) -> Source:
    """Return the source for a run with this seed; the source itself unless it depends on the run's seed."""
    return source.with_seed(seed) if isinstance(source, FollowsSeed) else source
