"""Elastic weight consolidation: a quadratic penalty on meta-parameters that earlier experiences depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Visit
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from lifelong.utilities.ranges import check_number
from strategies.importance.fisher import Labels, fisher_diagonal
from strategies.importance.quadratic import Quadratic
from strategies.importance.units import count_units


class EWC(Strategy):
    """Penalise changes of parameters that past experiences ``e`` need (EWC): ``λ/2 Σ_e Σ_i F_e,i (θ_i − θ*_e,i)²``.

    ``θ*_e`` are the meta-parameters at the end of ``e``. ``F_e`` is the mean over ``n_fisher_tasks`` tasks of the
    squared gradient of a task's training loss, through its adaptation (see :mod:`strategies.importance.fisher`). The
    sum of quadratics over experiences is itself one quadratic, given by ``Σ F_e``, its weighted mean anchor and a
    constant, so memory does not grow.

    Args:
        strength: ``λ``. Values are comparable only for the same normalisation, ``labels`` and factor ½ as here.
        n_fisher_tasks: tasks, or labelled examples, from which the Fisher is estimated. None means all examples of the
            experience.
        labels: expectation over the model's labels: ``exact``, ``sampled``, or ``empirical`` (the data's labels).
        online: keep one decayed Fisher and the newest anchor instead of the sum.
        decay: ``γ`` of the online variant.

    Raises:
        ValueError: when a setting is out of range, or ``n_fisher_tasks`` is None for few-shot tasks.

    Reference:
        Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017; online: Schwarz et al.,
        "Progress & Compress", ICML 2018. Differences: the unit is a task, and its loss is the learner's,
        usually the query loss.

    Example:
        >>> EWC(strength=100.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    penalises_outputs: ClassVar[bool] = False

    def __init__(
        self,
        *,
        strength: float = 1000.0,
        n_fisher_tasks: int | None = 100,
        labels: Labels = "sampled",
        online: bool = False,
        decay: float = 1.0,
    ) -> None:
        super().__init__()
        check_number("EWC's strength", strength, least=0)
        check_number("EWC's n_fisher_tasks", n_fisher_tasks, least=1, whole=True, hint=", or null for all")
        check_number("EWC's decay", decay, least=0, most=1, hint=", 1 to keep all")
        self.strength, self.n_fisher_tasks, self.labels = strength, n_fisher_tasks, labels
        self.online, self.decay = online, decay
        self.quadratic = Quadratic()

    @property
    def fisher(self) -> Params:
        """Return the diagonal Fisher information accumulated over past experiences."""
        return self.quadratic.importance

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Refuse an unset number of few-shot tasks before training starts."""
        self._n_units(visit)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Estimate this experience's Fisher and add its quadratic to the one over earlier experiences."""
        if self.strength == 0:
            return
        batches, n_units = self._batches(learner, visit, runner), self._n_units(visit)
        fisher = {
            name: runner.sum(f) / n_units for name, f in fisher_diagonal(learner, batches, self.labels, runner).items()
        }
        here = {name: p.detach().clone() for name, p in learner.meta_parameters().items() if name in fisher}
        self._merge(fisher, here)

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return ``λ/2`` times the quadratic penalty; None in the first experience."""
        return self.strength / 2 * self.quadratic.value(step.params) if self.quadratic else None

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes, with zero importance."""
        self.quadratic.extend(learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the quadratic penalty, for the checkpoint."""
        return self.quadratic.state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the quadratic penalty from the checkpoint."""
        self.quadratic.load(state)

    def _merge(self, fisher: Params, here: Params) -> None:
        if self.online:
            self.quadratic.renew(fisher, here, self.decay)
        else:
            self.quadratic.add(fisher, here)

    def _n_units(self, visit: Visit) -> int:
        return count_units(visit, self.n_fisher_tasks, "EWC's n_fisher_tasks")

    def _batches(self, learner: Learner, visit: Visit, runner: TaskRunner) -> Iterator[tuple[Episode, Tensor]]:
        for indices, batch in visit.batches("fisher", self._n_units(visit)):
            if self.labels != "sampled":
                yield batch, batch.weight.new_empty(len(batch), 0)
                continue
            target = runner.map(learner.likelihood_targets, learner, batch)
            rngs = [generator(visit.seed, "labels", visit.experience.index, i) for i in indices]
            uniform = torch.stack([torch.from_numpy(rng.random(tuple(target.shape[1:]))) for rng in rngs])
            yield batch, uniform.to(target.device, torch.float32)
