"""The position of training in the stream: a visit to an experience, and the position of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lifelong.data.episode import Episode
from lifelong.data.stream import Experience


@dataclass(frozen=True)
class Visit:
    """Describe an experience to learners and strategies when it begins and when it ends.

    A stream without boundaries is presented as a single experience with index 0 from its start to its end. Its pools
    are those of the first domain at the start, and of the last domain at the end.

    Args:
        experience: the experience with its training pools, which are not available after ``end`` unless stored.
        n_experiences: length of the stream.
        seed: seed of the run.
        batches: ``batches(purpose, n_tasks)`` yields this rank's share of ``n_tasks`` newly drawn tasks of the
            experience, each batch with the global indices of its tasks.
        ways: ``(N,)`` indices of the classes that compete in the softmax for a labelled example of this experience
            after it is learnt; None for few-shot tasks, which have their own.
        has_boundaries: False if the experience is a whole stream without boundaries.
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
    """Locate a training step in the stream, with everything that counter-based random numbers depend on.

    Args:
        experience: index of the experience; always 0 in a stream without boundaries.
        step: index of the step within the experience.
        seed: seed of the run.
        n_tasks: tasks of the batch over all processes, without rehearsed ones.
        rank: index of this process.
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
        """Return the number of rows of this rank's batch that are the stream's own; rehearsed ones follow them.

        Example:
            >>> [Position(0, n_tasks=5, rank=rank, world=2).n_own for rank in (0, 1)]
            [3, 2]
        """
        return len(range(self.rank, self.n_tasks, self.world))
