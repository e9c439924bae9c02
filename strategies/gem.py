"""GEM: no step increases the loss on the memory of any past experience, to first order.

Shapes: ``t`` past experiences, ``P`` elements of all trained parameters.
"""

from __future__ import annotations

import importlib.util
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from lifelong.utilities.ranges import check_number
from strategies.memory.budget import Budget, Policy
from strategies.memory.rehearsal import Rehearsal, check_rehearsal
from strategies.reference_gradients import flatten, reference_gradients, trained, unflatten


class GEM(Rehearsal):
    """Project a gradient that would raise the loss on any past experience to the nearest one that does not (GEM).

    ``min_z ½ ‖z − g‖²`` subject to ``R z ≥ 0``. Row ``e`` of ``R (t, P)`` is the gradient of the mean loss of units of
    experience ``e`` drawn from memory; ``g`` is the gradient of the step, including the penalties of other strategies.
    The solution is ``z = g + Rᵀ v`` with ``v ≥ 0``. A margin ``γ`` requires ``v ≥ γ``, which turns ``z`` further
    towards the gradients of past experiences.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        policy: selection of units. Few-shot tasks require ``class_balanced``.
        n_reference: units per step from which each row is estimated, over all devices. Default: as many as current
            ones.
        margin: ``γ``, the least coefficient of every past gradient in a projected step.

    Raises:
        ValueError: when the budget is too small (the message gives the numbers), a setting is out of range, or scipy is
            not installed.

    Reference:
        Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017. Differences: rows are
        estimated from a new draw in each step instead of the whole memory; the shares of past experiences shrink to
        make room for new ones instead of being fixed; the dual is solved as a non-negative least-squares problem.

    Example:
        >>> GEM(budget=Budget(per_class=100)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        budget: Budget = Budget(examples=2000),
        policy: Policy = "class_balanced",
        n_reference: int | None = None,
        margin: float = 0.5,
    ) -> None:
        super().__init__(
            budget=budget,
            policy=policy,
        )
        if importlib.util.find_spec("scipy") is None:
            raise ValueError(
                "GEM solves a quadratic program with scipy, which is not installed: pip install -c constraints.txt -e "
                "'.[gem]', or choose strategies.AGEM, which needs no solver"
            )
        check_rehearsal("GEM", "n_reference", n_reference)
        check_number("GEM's margin", margin, least=0)
        self.n_reference, self.margin = n_reference, margin
        self._shares: list[Episode | None] = []

    @property
    def needs_boundaries(self) -> bool:
        """Return True: there is one row per past experience."""
        return True

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch unchanged, and draw the units for the reference gradients."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.draw(n_units, batch, position, number) for number in self.memory.experiences]
        self.memory.update(learner, batch, position, runner=runner)
        return batch

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the nearest gradients that increase the loss on no past experience."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        references = reference_gradients(learner, self._shares, n_units, names, runner)
        gradient, self._shares = flatten(gradients, names), []
        if (references @ gradient >= 0).all():
            return gradients
        return unflatten(nearest(gradient, references, self.margin), gradients, names)


def nearest(gradient: Tensor, references: Tensor, margin: float) -> Tensor:
    """Return ``z = g + Rᵀ v`` where ``v ≥ margin`` minimises ``½ ‖g + Rᵀ v‖²``, the dual of GEM's quadratic program.

    Let ``Fᵀ F`` be the Gram matrix of ``g`` and the rows of ``R``, and ``[T, c]`` the columns of ``F``. The dual is
    ``min ‖T v + c‖`` over ``v − margin ≥ 0``, a non-negative least-squares problem with ``t`` unknowns.

    Args:
        gradient: ``g (P,)``.
        references: ``R (t, P)``.
        margin: least element of ``v``.

    Reference:
        Lawson & Hanson, "Solving Least Squares Problems", 1974 (the solver, in scipy).

    Example:
        >>> nearest(torch.tensor([1.0, -2.0]), torch.tensor([[0.0, 1.0]]), margin=0.0).tolist()
        [1.0, 0.0]
    """
    from scipy.optimize import nnls  # type: ignore[import-untyped, unused-ignore]

    rows = torch.cat([references, gradient[None]]).double()
    gram = (rows @ rows.T).cpu()
    # Rows are normalised because the solver's tolerance is absolute. Zero rows (nothing to protect) are kept.
    length = gram.diagonal().sqrt()
    length[length == 0] = 1
    values, vectors = torch.linalg.eigh(gram / length / length[:, None])
    factor = values.clamp_min(0).sqrt()[:, None] * vectors.T
    present = length[-1] * factor[:, -1] + margin * factor[:, :-1] @ length[:-1]
    u, _ = nnls(factor[:, :-1].numpy(), -present.numpy())
    v: Tensor = margin + torch.from_numpy(u) / length[:-1]
    return gradient + v.to(gradient) @ references
