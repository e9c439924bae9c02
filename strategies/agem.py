"""A-GEM: no step that makes the loss on a batch from memory larger, to first order."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from strategies.memory.budget import Budget, Policy
from strategies.memory.rehearsal import Rehearsal, check_rehearsal
from strategies.reference_gradients import flatten, reference_gradients, trained, unflatten


class AGEM(Rehearsal):
    """Project a gradient that would raise the mean loss on stored examples (A-GEM).

    The step is ``g − (g · r / r · r) r`` where ``g · r < 0``, and ``g`` otherwise. ``g`` is the gradient of the step,
    penalties of other strategies included, and ``r`` that of the mean loss of units drawn from memory. What is not
    trained has no part in it.

    Args:
        budget: how much is kept: ``examples`` or ``bytes`` in all, or examples ``per_class``.
        policy: ``class_balanced``, ``herding`` or ``reservoir``; few-shot tasks need the first.
        n_reference: units that ``r`` is estimated from in each step, over all devices; as many as current ones where
            None.

    Raises:
        ValueError: when the budget is too small (the numbers are named), or a setting is out of range.

    Reference:
        Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019. Differences: the memory is shrunk to make
        room for new experiences in place of a fixed share for each; tasks are drawn anew from it.

    Example:
        >>> AGEM(budget=Budget(per_class=100)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        budget: Budget = Budget(examples=2000),
        policy: Policy = "class_balanced",
        n_reference: int | None = None,
    ) -> None:
        super().__init__(
            budget=budget,
            policy=policy,
        )
        check_rehearsal("AGEM", "n_reference", n_reference)
        self.n_reference = n_reference
        self._shares: list[Episode | None] = []

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch as it is, and draw the units that its gradient will be compared with."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.draw(n_units, batch, position)] if self.memory.n_past else []
        self.memory.update(learner, batch, position, runner=runner)
        return batch

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients without the part that points against the reference."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        (reference,) = reference_gradients(learner, self._shares, n_units, names, runner)
        gradient, self._shares = flatten(gradients, names), []
        product = gradient @ reference
        if product >= 0:
            return gradients
        return unflatten(gradient - product / (reference @ reference) * reference, gradients, names)
