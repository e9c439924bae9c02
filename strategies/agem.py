"""A-GEM: no step increases the loss on a batch from memory, to first order."""

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

    The gradient becomes ``g − (g · r / r · r) r`` if ``g · r < 0``, and remains ``g`` otherwise. ``g`` is the gradient
    of the step, including the penalties of other strategies, and ``r`` the gradient of the mean loss of units drawn
    from memory. Only trained parameters are included.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        policy: selection of units. Few-shot tasks require ``class_balanced``.
        n_reference: units per step from which ``r`` is estimated, over all devices. Default: as many as current ones.

    Raises:
        ValueError: when the budget is too small (the message gives the numbers), or a setting is out of range.

    Reference:
        Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019. Differences: the shares of past
        experiences shrink to make room for new ones instead of being fixed; new few-shot tasks are drawn from memory.

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
        """Return the batch unchanged, and draw the units for the reference gradient."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.draw(n_units, batch, position)] if self.memory.n_past else []
        self.memory.update(learner, batch, position, runner=runner)
        return batch

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients without their part that is opposite to the reference gradient."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        (reference,) = reference_gradients(learner, self._shares, n_units, names, runner)
        gradient, self._shares = flatten(gradients, names), []
        product = gradient @ reference
        if product >= 0:
            return gradients
        return unflatten(gradient - product / (reference @ reference) * reference, gradients, names)
