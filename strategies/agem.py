"""A-GEM: no step that makes the loss on a batch from memory larger, to first order."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lifelong.batch import Episode
from lifelong.learner import Learner
from lifelong.strategy import Position
from strategies.memory import Policy
from strategies.reference import flatten, reference_gradients, trained, unflatten
from strategies.rehearsal import Rehearsal, check_rehearsal


class AGEM(Rehearsal):
    """A-GEM: where ``g · r < 0`` the step is taken along ``g − (g · r / r · r) r``, else along ``g``.

    ``g`` is the gradient of the step, penalties of other strategies included, and ``r`` that of the mean loss of units
    drawn from memory. What is not trained has no part in it.

    Args:
        budget_examples: examples kept in all; None for no such bound.
        budget_bytes: bytes kept in all; None for no such bound.
        budget_per_class: examples kept of each class (labelled examples alone); None for no such bound.
        policy: ``class_balanced``, ``herding`` or ``reservoir``; few-shot tasks need the first.
        n_reference: units that ``r`` is estimated from in each step, over all devices; as many as current ones where
            None.

    Raises:
        ValueError: when the budget is too small (the numbers are named), or a setting is out of range.

    Reference:
        Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019. Differences: the memory is shrunk to make
        room for new experiences in place of a fixed share for each; tasks are drawn anew from it.

    Example:
        >>> AGEM(budget_examples=None, budget_per_class=100).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        budget_examples: int | None = 2000,
        budget_bytes: int | None = None,
        budget_per_class: int | None = None,
        policy: Policy = "class_balanced",
        n_reference: int | None = None,
    ) -> None:
        super().__init__(
            budget_examples=budget_examples,
            budget_bytes=budget_bytes,
            budget_per_class=budget_per_class,
            policy=policy,
        )
        check_rehearsal("AGEM", "n_reference", n_reference)
        self.n_reference = n_reference
        self._shares: list[Episode | None] = []

    def rehearse(self, learner: Learner, batch: Episode, position: Position) -> Episode:
        """The batch as it is; the units that its gradient will be measured by are drawn."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.share(n_units, batch, position)] if self.kept.n_past else []
        self.kept.watch(learner, batch, position)
        return batch

    def project(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> dict[str, Tensor]:
        """The gradients without the part that points against the reference."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        (reference,) = reference_gradients(learner, self._shares, n_units, names)
        gradient, self._shares = flatten(gradients, names), []
        product = gradient @ reference
        if product >= 0:
            return gradients
        return unflatten(gradient - product / (reference @ reference) * reference, gradients, names)
