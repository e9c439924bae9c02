"""GEM: no step that makes the loss on the memory of any past experience larger, to first order.

Shapes: ``t`` past experiences, ``P`` numbers in all parameters that are trained.
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

    ``min_z ½ ‖z − g‖²`` such that ``R z ≥ 0``. Row ``e`` of ``R (t, P)`` is the gradient of the mean loss of units of
    experience ``e``, drawn from memory; ``g`` is that of the step, penalties of other strategies included. The
    solution is ``z = g + Rᵀ v`` with ``v ≥ 0``; a margin ``γ`` asks for ``v ≥ γ``, which turns ``z`` further towards
    the past.

    Args:
        budget: how much is kept: ``examples`` or ``bytes`` in all, or examples ``per_class``.
        policy: ``class_balanced``, ``herding`` or ``reservoir``; few-shot tasks need the first.
        n_reference: units that each row is estimated from in each step, over all devices; as many as current ones where
            None.
        margin: ``γ``, how much of every past gradient is added at least in a step that is changed.

    Raises:
        ValueError: when the budget is too small (the numbers are named), a setting is out of range, or scipy is not
            installed.

    Reference:
        Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017. Differences: rows are
        estimated from a new draw in each step in place of the whole memory; the memory is shrunk to make room for
        new experiences in place of a fixed share for each; the dual is solved as non-negative least squares.

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
        """Tell that it needs the ends of experiences: there is a row for each past one."""
        return True

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch as it is, and draw the units that its gradient will be compared with."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.draw(n_units, batch, position, number) for number in self.memory.experiences]
        self.memory.update(learner, batch, position, runner=runner)
        return batch

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the nearest gradients that point against no past experience."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        references = reference_gradients(learner, self._shares, n_units, names, runner)
        gradient, self._shares = flatten(gradients, names), []
        if (references @ gradient >= 0).all():
            return gradients
        return unflatten(nearest(gradient, references, self.margin), gradients, names)


def nearest(gradient: Tensor, references: Tensor, margin: float) -> Tensor:
    """Solve ``z = g + Rᵀ v`` with the ``v ≥ margin`` that makes ``½ ‖g + Rᵀ v‖²`` smallest: the dual of GEM's program.

    With ``F`` such that ``Fᵀ F`` is the Gram matrix of ``g`` and the rows of ``R``, and ``[T, c]`` its columns, it is
    ``min ‖T v + c‖`` over ``v − margin ≥ 0``: a non-negative least squares problem of ``t`` unknowns.

    Args:
        gradient: ``g (P,)``.
        references: ``R (t, P)``.
        margin: least entry of ``v``.

    Reference:
        Lawson & Hanson, "Solving Least Squares Problems", 1974 (the solver, of scipy).

    Example:
        >>> nearest(torch.tensor([1.0, -2.0]), torch.tensor([[0.0, 1.0]]), margin=0.0).tolist()
        [1.0, 0.0]
    """
    from scipy.optimize import nnls  # type: ignore[import-untyped, unused-ignore]

    rows = torch.cat([references, gradient[None]]).double()
    gram = (rows @ rows.T).cpu()
    # Rows of unit length: the solver's tolerance knows no units. One of zeros (nothing to protect) stays as it is.
    length = gram.diagonal().sqrt()
    length[length == 0] = 1
    values, vectors = torch.linalg.eigh(gram / length / length[:, None])
    factor = values.clamp_min(0).sqrt()[:, None] * vectors.T
    present = length[-1] * factor[:, -1] + margin * factor[:, :-1] @ length[:-1]
    u, _ = nnls(factor[:, :-1].numpy(), -present.numpy())
    v: Tensor = margin + torch.from_numpy(u) / length[:-1]
    return gradient + v.to(gradient) @ references
