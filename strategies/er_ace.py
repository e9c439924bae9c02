"""ER-ACE: new examples compete only among the classes of the batch, rehearsed ones among all classes seen."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from strategies.memory.budget import Budget, Policy
from strategies.memory.rehearsal import Rehearsal, Weighting, check_rehearsal, weight_of_rehearsed


class ERACE(Rehearsal):
    """Replay stored examples with an asymmetric cross-entropy: new examples compete among the batch's classes (ER-ACE).

    The loss is ``(mean_current ℓ(x, y; P) + w · mean_rehearsed ℓ(x, y; S)) / (1 + w)``.
    ``ℓ(x, y; C)`` is the cross-entropy among the classes ``C``, with ``P`` the classes present in the current batch and
    ``S`` all classes seen so far. New examples thus do not lower the outputs of old classes, which would make the
    features of old classes drift; only rehearsed examples discriminate between old and new classes. In the first
    experience the method is plain fine-tuning. ER-ACE supports class-incremental streams only: with the same few ways
    in every batch, ``P`` equals ``S`` and the method is ``Replay``.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        policy: selection of examples.
        n_replay: rehearsed examples per step over all devices. Default: as many as current ones.
        weighting: ``w``, or ``experience`` (the number of past ones), or ``equal`` (same weight for every example).

    Raises:
        ValueError: when the budget is too small (the message gives the numbers), or a setting is out of range.

    Reference:
        Caccia et al., "New Insights on Reducing Abrupt Representation Change in Online Continual Learning", ICLR 2022.
        Differences: the sum of the two means is divided by ``1 + w``; examples are drawn with replacement.

    Example:
        >>> ERACE(budget=Budget(examples=500)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    streams: ClassVar[frozenset[StreamKind]] = frozenset(("class",))

    def __init__(
        self,
        *,
        budget: Budget = Budget(examples=2000),
        policy: Policy = "reservoir",
        n_replay: int | None = None,
        weighting: Weighting = 1.0,
    ) -> None:
        super().__init__(
            budget=budget,
            policy=policy,
        )
        check_rehearsal("ERACE", "n_replay", n_replay, weighting)
        self.n_replay, self.weighting = n_replay, weighting

    @property
    def needs_boundaries(self) -> bool:
        """Return whether boundaries are needed: by the policy, or to count experiences for the weighting."""
        return super().needs_boundaries or self.weighting == "experience"

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch restricted to the classes present, with this rank's share of rehearsed examples."""
        n_past, n_replay = self.memory.n_past, self.n_replay or position.n_tasks
        old = self.draw(n_replay, batch, position) if n_past else None
        self.memory.update(learner, batch, position, runner=runner)
        if not n_past:
            return batch
        current = among_present(batch, position.n_own, runner)
        weight = weight_of_rehearsed(self.weighting, n_past, position.n_tasks, n_replay)
        return current if old is None else Episode.cat([current, old.weighted(weight)])


def among_present(batch: Episode, n_own: int, runner: TaskRunner) -> Episode:
    """Restrict the stream's own examples, the first of the batch, to the classes present among them.

    Args:
        batch: the examples.
        n_own: number of the stream's own examples.
        runner: gathers the classes of all ranks.
    """
    assert batch.classes is not None
    labels = batch.query_classes[:n_own]
    present = torch.isin(batch.classes, runner.gather(labels))
    present[n_own:] = True
    return replace(batch, classes=batch.classes.masked_fill(~present, -1))
