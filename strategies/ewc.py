"""Elastic weight consolidation: a quadratic penalty on meta-parameters that earlier experiences depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.batch import Episode
from lifelong.fisher import Labels, fisher_diagonal
from lifelong.learner import Learner
from lifelong.sampling import generator
from lifelong.strategy import Params, Step, Strategy, Visit


class EWC(Strategy):
    """EWC: ``λ/2 Σ_e Σ_i F_e,i (θ_i − θ*_e,i)²`` over past experiences ``e``, anchored on the meta-parameters.

    ``F_e`` is the mean over ``n_fisher_tasks`` tasks of the squared gradient of the loss that a task is trained by,
    through its adaptation (see :mod:`lifelong.fisher`). The sum of quadratics over experiences is itself one quadratic,
    so memory does not grow: ``Σ F_e``, its weighted mean anchor, and a constant.

    Args:
        strength: ``λ``. It only means something together with the normaliser above, ``labels`` and the ½.
        n_fisher_tasks: tasks that the Fisher is estimated from.
        labels: expectation over the model's labels: ``exact``, ``sampled``, or ``empirical`` (the data's labels).
        online: keep one decayed Fisher and the newest anchor in place of the sum.
        decay: ``γ`` of the online variant.

    Reference:
        Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017; online: Schwarz et al.,
        "Progress & Compress", ICML 2018. Differences: the unit is a task, and its loss is the learner's, as
        a rule the query loss.

    Example:
        >>> EWC(strength=100.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        strength: float = 1000.0,
        n_fisher_tasks: int = 100,
        labels: Labels = "sampled",
        online: bool = False,
        decay: float = 1.0,
    ) -> None:
        super().__init__()
        if strength < 0:
            raise ValueError(f"EWC's strength is {strength}: it must not be negative")
        self.strength, self.n_fisher_tasks, self.labels = strength, n_fisher_tasks, labels
        self.online, self.decay = online, decay
        self.fisher: Params = {}
        self.anchor: Params = {}
        self.constant = 0.0

    def end(self, learner: Learner, visit: Visit) -> None:
        """Estimate this experience's Fisher and merge its quadratic into the kept one."""
        if self.strength == 0:
            return
        batches = self._batches(learner, visit)
        fisher = {
            name: visit.sum_over_ranks(f) / self.n_fisher_tasks
            for name, f in fisher_diagonal(learner, batches, self.labels).items()
        }
        here = {name: p.detach().clone() for name, p in learner.meta_parameters().items() if name in fisher}
        self._merge(fisher, here)

    def penalty(self, learner: Learner, step: Step) -> Tensor | None:
        """``λ/2`` times the quadratic; nothing before the second experience."""
        if not self.fisher:
            return None
        device = step.losses.device
        terms = [
            (f.to(device) * (step.params[name] - self.anchor[name].to(device)).square()).sum()
            for name, f in self.fisher.items()
        ]
        return self.strength / 2 * (torch.stack(terms).sum() + self.constant)

    def get_extra_state(self) -> dict[str, Params | float]:
        """The quadratic, for the checkpoint."""
        return {"fisher": self.fisher, "anchor": self.anchor, "constant": self.constant}

    def set_extra_state(self, state: dict[str, Params]) -> None:
        """The quadratic, from the checkpoint."""
        self.fisher, self.anchor = state["fisher"], state["anchor"]
        self.constant = float(state["constant"])  # type: ignore[arg-type]

    def _merge(self, fisher: Params, here: Params) -> None:
        if self.online or not self.fisher:
            old = self.fisher
            self.fisher = {name: f + self.decay * old[name] if old else f for name, f in fisher.items()}
            self.anchor = here
            return
        # F1 (θ−a)² + F2 (θ−b)² = (F1+F2)(θ−m)² + F1 F2/(F1+F2) (a−b)² with m the weighted mean.
        for name, new in fisher.items():
            old_f, old_a = self.fisher[name].to(new.device), self.anchor[name].to(new.device)
            total = old_f + new
            safe = total.clamp_min(torch.finfo(total.dtype).tiny)
            self.constant += float((old_f * new / safe * (old_a - here[name]).square()).sum())
            self.anchor[name] = torch.where(total > 0, (old_f * old_a + new * here[name]) / safe, here[name])
            self.fisher[name] = total

    def _batches(self, learner: Learner, visit: Visit) -> Iterator[tuple[Episode, Tensor]]:
        for indices, batch in visit.batches("fisher", self.n_fisher_tasks):
            target = learner.over_tasks(learner.likelihood_targets, batch)
            rngs = [generator(visit.seed, "labels", visit.experience.index, i) for i in indices]
            uniform = torch.stack([torch.from_numpy(rng.random(tuple(target.shape[1:]))) for rng in rngs])
            yield batch, uniform.to(target.device, torch.float32)
