"""GEM: no step that makes the loss on the memory of any past experience larger, to first order.

Shapes: ``t`` past experiences, ``P`` numbers in all parameters that are trained.
"""

from __future__ import annotations

import importlib.util
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.batch import Episode
from lifelong.learner import Learner
from lifelong.strategy import Position
from strategies.memory import Policy
from strategies.reference import flatten, reference_gradients, trained, unflatten
from strategies.rehearsal import Rehearsal, check_rehearsal


class GEM(Rehearsal):
    """GEM: where ``R g`` has a negative entry, the step is taken along the ``z`` nearest to ``g`` with ``R z ≥ 0``.

    ``min_z ½ ‖z − g‖²`` such that ``R z ≥ 0``. Row ``e`` of ``R (t, P)`` is the gradient of the mean loss of units of
    experience ``e``, drawn from memory; ``g`` is that of the step, penalties of other strategies included. The
    solution is ``z = g + Rᵀ v`` with ``v ≥ 0``; a margin ``γ`` asks for ``v ≥ γ``, which turns ``z`` further towards
    the past.

    Args:
        budget_examples: examples kept in all; None for no such bound.
        budget_bytes: bytes kept in all; None for no such bound.
        budget_per_class: examples kept of each class (labelled examples alone); None for no such bound.
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
        >>> GEM(budget_examples=None, budget_per_class=100).memory_bytes()
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
        margin: float = 0.5,
    ) -> None:
        super().__init__(
            budget_examples=budget_examples,
            budget_bytes=budget_bytes,
            budget_per_class=budget_per_class,
            policy=policy,
        )
        if importlib.util.find_spec("scipy") is None:
            raise ValueError(
                "GEM solves a quadratic program with scipy, which is not installed: pip install -c constraints.txt -e "
                "'.[gem]', or choose strategies.AGEM, which needs no solver"
            )
        check_rehearsal("GEM", "n_reference", n_reference)
        if margin < 0:
            raise ValueError(f"GEM's margin is {margin}: it must not be negative")
        self.n_reference, self.margin = n_reference, margin
        self.needs_boundaries = True  # type: ignore[misc]  # a row for each past experience
        self._shares: list[Episode | None] = []

    def rehearse(self, learner: Learner, batch: Episode, position: Position) -> Episode:
        """The batch as it is; the units that its gradient will be measured by are drawn."""
        n_units = self.n_reference or position.n_tasks
        self._shares = [self.share(n_units, batch, position, home) for home in self.kept.homes]
        self.kept.watch(learner, batch, position)
        return batch

    def project(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> dict[str, Tensor]:
        """The nearest gradients that point against no past experience."""
        if not self._shares:
            return gradients
        names, n_units = trained(learner, gradients), self.n_reference or position.n_tasks
        references = reference_gradients(learner, self._shares, n_units, names)
        gradient, self._shares = flatten(gradients, names), []
        if (references @ gradient >= 0).all():
            return gradients
        return unflatten(nearest(gradient, references, self.margin), gradients, names)


def nearest(gradient: Tensor, references: Tensor, margin: float) -> Tensor:
    """``z = g + Rᵀ v`` with the ``v ≥ margin`` that makes ``½ ‖g + Rᵀ v‖²`` smallest: the dual of GEM's program.

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
