"""Loaders that yield drawn units for each step and resume exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator, Sequence

import torch
from lightning.pytorch.utilities import CombinedLoader

from lifelong.data.episode import Episode


class Drawn(ABC):
    """Store the indices of drawn units until they are gathered; not a collection, so that Lightning leaves it as is."""

    @abstractmethod
    def gather(self, device: torch.device) -> Episode:
        """Return the units as tensors on the device."""


class StepLoader:
    """Yield one rank's share of the units of each step, and keep track of the position for exact resuming.

    Args:
        draw: maps (experience, indices of this rank's units of a step) to drawn units.
        units: maps (experience, step) to the range of all ranks' units of that step.
        n_steps: number of batches.
        place: returns (experience, rank, number of ranks) at the start of an iteration.
    """

    def __init__(
        self,
        draw: Callable[[int, Sequence[int]], Drawn],
        units: Callable[[int, int], range],
        *,
        n_steps: int,
        place: Callable[[], tuple[int, int, int]],
    ) -> None:
        self._draw, self._units, self._place, self._n_steps = draw, units, place, n_steps
        self._position = self._resumed = (0, 0)

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[Drawn]:
        experience, rank, world = self._place()
        start = self._resumed[1] if self._resumed[0] == experience else 0
        self._resumed = (0, 0)
        for step in range(start, self._n_steps):
            self._position = (experience, step + 1)
            yield self._draw(experience, self._units(experience, step)[rank::world])

    def state_dict(self) -> dict[str, int]:
        """Return the experience and the next step."""
        return {"experience": self._position[0], "step": self._position[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at the experience and step of a state."""
        self._position = self._resumed = (state["experience"], state["step"])


class RowLoader(CombinedLoader):
    """Iterate over loaders sequentially, skipping those that are not needed at the start of an iteration.

    Args:
        loaders: one loader per domain.
        wanted: returns the indices of the loaders that are needed.
    """

    def __init__(self, loaders: list[StepLoader], wanted: Callable[[], Container[int]]) -> None:
        super().__init__(loaders, "sequential")
        self._loaders, self._wanted = loaders, wanted

    def __iter__(self) -> RowLoader:
        # A limit of 0 skips a loader. Empty loaders are skipped recursively, which fails for a thousand of them.
        given = self.limits or [len(loader) for loader in self._loaders]
        wanted = self._wanted()
        self.limits = [limit if number in wanted else 0 for number, limit in enumerate(given)]
        super().__iter__()
        self.limits = given
        return self
