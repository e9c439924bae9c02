"""The place of training in the stream: a visit to an experience, and the position of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lifelong.data.episode import Episode
from lifelong.data.stream import Experience


@dataclass(frozen=True)
class Visit:
    """Describe an experience to learners and strategies when it begins and when it ends.

    A stream without boundaries is met as one experience of index 0 that begins with the stream and ends with it; its
    pools are those at hand: of the first domain when it begins, and of the last when it ends.

    Args:
        experience: with its training pools; after ``end`` they are gone unless the strategy kept something.
        n_experiences: length of the stream.
        seed: of the run.
        batches: ``batches(purpose, n_tasks)`` yields this rank's share of so many fresh tasks of the experience, each
            batch with the global indices of its tasks.
        ways: ``(N,)`` numbers of the classes that compete in the softmax for a labelled example of this experience once
            it is learnt; None for few-shot tasks, which bring their own.
        has_boundaries: False where the experience is a whole stream without boundaries.
        n_steps: optimizer steps of the experience.
    """

    experience: Experience
    n_experiences: int
    seed: int
    batches: Callable[[str, int], Iterator[tuple[Sequence[int], Episode]]]
    ways: np.ndarray | None = None
    has_boundaries: bool = True
    n_steps: int = 0


@dataclass(frozen=True)
class Position:
    """Locate a training step in the stream: all that a counter-based random number needs.

    Args:
        experience: index of the experience; 0 all along a stream without boundaries.
        step: index of the step inside the experience.
        seed: of the run.
        n_tasks: tasks of the batch over all processes, before any rehearsal.
        rank: this process.
        world: number of processes.
    """

    experience: int
    step: int = 0
    seed: int = 0
    n_tasks: int = 1
    rank: int = 0
    world: int = 1

    @property
    def n_own(self) -> int:
        """Return how many rows of this rank's batch are the stream's own: the first ones, before any rehearsed.

        Example:
            >>> [Position(0, n_tasks=5, rank=rank, world=2).n_own for rank in (0, 1)]
            [3, 2]
        """
        return len(range(self.rank, self.n_tasks, self.world))
