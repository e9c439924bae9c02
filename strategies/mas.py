"""Memory aware synapses: parameters are protected by how strongly the outputs depend on them, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.data.position import Visit
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from lifelong.utilities.ranges import check_number
from strategies.importance.quadratic import Quadratic
from strategies.importance.sensitivity import sensitivity
from strategies.importance.units import count_units


class MAS(Strategy):
    """Penalise changes of parameters to which the outputs are sensitive (MAS): ``λ Σ_i Ω_i (θ_i − θ*_i)²``.

    ``θ*`` are the meta-parameters at the end of the last experience. At the end of each experience ``Ω_i`` increases by
    the mean over ``n_tasks`` tasks of ``|∂/∂θ_i ‖f‖²|``, where ``‖f‖²`` is the mean over a task's queries of the
    squared norm of the outputs. Query labels are not used; few-shot learners adapt to their support sets as usual.

    Args:
        strength: ``λ``; the penalty has no factor ½.
        n_tasks: tasks, or labelled examples, from which the importance is estimated. None means all examples of the
            experience.

    Raises:
        ValueError: when a setting is out of range, or ``n_tasks`` is None for few-shot tasks.

    Reference:
        Aljundi et al., "Memory Aware Synapses: Learning what (not) to forget", ECCV 2018. Differences: the unit is a
        task; the outputs are those in the loss, for labelled examples the logits of their ways.

    Example:
        >>> MAS(strength=1.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    penalises_outputs: ClassVar[bool] = False

    def __init__(self, *, strength: float = 1.0, n_tasks: int | None = 100) -> None:
        super().__init__()
        check_number("MAS's strength", strength, least=0)
        check_number("MAS's n_tasks", n_tasks, least=1, whole=True, hint=", or null for all")
        self.strength, self.n_tasks = strength, n_tasks
        self.quadratic = Quadratic()

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Refuse an unset number of few-shot tasks before training starts."""
        count_units(visit, self.n_tasks, "MAS's n_tasks")

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Add this experience's importance to the earlier one, and anchor the penalty at the current parameters."""
        if self.strength == 0:
            return
        n_units = count_units(visit, self.n_tasks, "MAS's n_tasks")
        batches: Iterator[tuple[Episode]] = ((batch,) for _, batch in visit.batches("fisher", n_units))
        slopes = sensitivity(learner, batches, _of_squared_norm, torch.abs, runner)
        importance = {name: runner.sum(s) / n_units for name, s in slopes.items()}
        here = {name: p.detach().clone() for name, p in learner.meta_parameters().items() if name in importance}
        self.quadratic.renew(importance, here)

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return ``λ`` times the quadratic penalty; None in the first experience."""
        return self.strength * self.quadratic.value(step.params) if self.quadratic else None

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes, with zero importance."""
        self.quadratic.extend(learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the quadratic penalty, for the checkpoint."""
        return self.quadratic.state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the quadratic penalty from the checkpoint."""
        self.quadratic.load(state)


def _of_squared_norm(task: Task, output: Tensor) -> Tensor:
    """Return the gradient ``(1, n, *Y)`` of the mean squared norm of ``(n, *Y)``."""
    return 2 * output[None] / len(output)
