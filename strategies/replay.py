"""Replay: store raw examples of past experiences and train on them together with new data."""

from __future__ import annotations

from typing import ClassVar

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from strategies.memory.budget import Budget, Policy
from strategies.memory.rehearsal import Rehearsal, Weighting, check_rehearsal, weight_of_rehearsed


class Replay(Rehearsal):
    """Rehearse stored examples of earlier experiences, as they are or (few-shot) in new tasks drawn from them.

    After ``t − 1`` experiences the loss is ``1/t · mean current + (1 − 1/t) · mean rehearsed``, so every experience has
    the same weight. With ``weighting: equal`` every unit has the same weight, as if the two batches were one. With a
    number ``w`` the loss is ``(mean current + w · mean rehearsed) / (1 + w)``.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        policy: selection of units. Few-shot tasks require ``class_balanced``. If training
            images are augmented, a reservoir stores the augmented images; the others store the original ones.
        n_replay: rehearsed units per step over all devices. Default: as many as current ones.
        weighting: weight of rehearsed units: ``experience``, ``equal`` or a number ``w``, as above.

    Raises:
        ValueError: when the budget is too small (the message gives the numbers), or a setting is out of range.

    Reference:
        Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019. Differences: for few-shot
        tasks whole classes are stored, since a reservoir would break tasks apart, and new tasks are drawn from them.

    Example:
        >>> Replay(budget=Budget(examples=500)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        budget: Budget = Budget(examples=2000),
        policy: Policy = "class_balanced",
        n_replay: int | None = None,
        weighting: Weighting = "experience",
    ) -> None:
        super().__init__(
            budget=budget,
            policy=policy,
        )
        check_rehearsal("Replay", "n_replay", n_replay, weighting)
        self.n_replay, self.weighting = n_replay, weighting

    @property
    def needs_boundaries(self) -> bool:
        """Return whether boundaries are needed: by the policy, or to count experiences for the weighting."""
        return super().needs_boundaries or self.weighting == "experience"

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch with this rank's share of the rehearsed units."""
        n_past, n_replay = self.memory.n_past, self.n_replay or position.n_tasks
        weight = weight_of_rehearsed(self.weighting, n_past, position.n_tasks, n_replay)
        old = self.draw(n_replay, batch, position) if n_past and weight > 0 else None
        self.memory.update(learner, batch, position, runner=runner)
        return batch if old is None else Episode.cat([batch, old.weighted(weight)])
