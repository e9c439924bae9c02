"""Replay: keep raw examples of past experiences and go on learning from them."""

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

    After ``t − 1`` experiences the loss is ``1/t · mean current + (1 − 1/t) · mean rehearsed``: each experience counts
    alike. ``weighting: equal`` counts each unit alike, as if the two batches were one; a number ``w`` makes it
    ``(mean current + w · mean rehearsed) / (1 + w)``.

    Args:
        budget: how much is kept: ``examples`` or ``bytes`` in all, or examples ``per_class``.
        policy: ``class_balanced``, ``herding`` or ``reservoir``; few-shot tasks need the first. Where training images
            are augmented, a reservoir keeps them as they were seen, and the others keep the images themselves.
        n_replay: rehearsed units per step over all devices; as many as current ones where None.
        weighting: ``experience``, ``equal`` or a number.

    Raises:
        ValueError: when the budget is too small (the numbers are named), or a setting is out of range.

    Reference:
        Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019. Differences: for few-shot tasks whole
        classes in place of a reservoir, which would break tasks apart, and tasks are drawn anew.

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
        """Tell whether it is told where experiences end: by its policy, or to count them."""
        return super().needs_boundaries or self.weighting == "experience"

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch with this rank's share of the rehearsed units."""
        n_past, n_replay = self.memory.n_past, self.n_replay or position.n_tasks
        weight = weight_of_rehearsed(self.weighting, n_past, position.n_tasks, n_replay)
        old = self.draw(n_replay, batch, position) if n_past and weight > 0 else None
        self.memory.update(learner, batch, position, runner=runner)
        return batch if old is None else Episode.cat([batch, old.weighted(weight)])
