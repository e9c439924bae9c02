"""Learning without forgetting: distil the previous learner into the current one on the inputs of the new experience.

Shapes: ``B`` units, ``Q`` queries of a unit, ``N`` ways, ``K`` ways that are distilled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.learners.objective import Classification
from lifelong.learners.one_vs_rest import OneVsRest, binary_losses
from lifelong.learners.pretrained import Pretrained
from lifelong.strategy import Step, Strategy
from lifelong.utilities.ranges import check_number
from strategies.snapshot import lengthened, snapshot, to_device


class LwF(Strategy):
    """Distil the previous experience's learner on new inputs (LwF): minimise ``L + (t − 1) · D`` in experience ``t``.

    The old learner is a copy of the learner at the end of the previous experience. Both predict the inputs of the
    current experience, and ``D`` is the mean over them of ``KL(p_old ‖ p_new)`` with ``p = softmax(outputs / T)`` over

    - for labelled examples: only the classes of earlier experiences, whichever classes compete in the loss; with a
      separate head per experience ``D`` is the mean over the earlier heads;
    - for few-shot tasks: the task's own ways, which both learners learn from its support set; with a learner that
      pre-trains a classifier of all classes (SimpleShot, …), that classifier's outputs for the classes seen earlier.

    With an independent binary output per class (``loss: sigmoid``) the binary divergences are summed. If the outputs
    are not logits, ``D`` is the objective's own loss with the old outputs as targets. Units rehearsed by another
    strategy contribute to ``L`` but not to ``D``.

    Args:
        temperature: ``T``. ``D`` is not multiplied by ``T²``; with ``T = 2`` a ``weighting`` of 4 gives Hinton's scale.
        weighting: the loss in experience ``t``: ``experience`` is ``L + (t − 1) · D``, ``normalised`` is
            ``L/t + (1 − 1/t) · D`` (van de Ven et al.'s weighting of replay), a number ``w`` is ``L + w · D``. The
            first two give every experience the same share and differ in scale. On Permuted MNIST with 500 steps per
            experience, ``normalised`` reached 86.3 % (two seeds) in an independent implementation, where ``experience``
            reached 75 %; this implementation reached 72.0 % and 76.6 % with ``experience``.
        among: the classes of both softmaxes. ``seen`` is as above, while with ``ways`` ``p_new`` is over all ways of an
            example, and ``p_old`` is zero for those not seen earlier, so that ``D`` also lowers new classes. With
            ``all``, both are over all ways, including those that the old learner was not trained on. They differ in the
            class scenario only, and only if more than the ``current`` classes compete.

    Raises:
        ValueError: when the temperature is not positive, or the weighting negative.

    Reference:
        Li & Hoiem, "Learning without Forgetting", ECCV 2016. For the table of van de Ven, Tuytelaars & Tolias, "Three
        types of incremental learning", 2022, their code uses ``weighting: experience`` in the task and domain
        scenarios, and in the class scenario ``weighting: 1``, ``among: all`` and all classes of the stream
        (``--data.classes all``). Differences: a new head is not trained alone first; the divergence replaces the
        cross-entropy (the same gradient, but a minimum of zero).

    Example:
        >>> LwF(temperature=2.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        temperature: float = 2.0,
        weighting: Literal["experience", "normalised"] | float = "experience",
        among: Literal["seen", "ways", "all"] = "seen",
    ) -> None:
        super().__init__()
        check_number("LwF's temperature", temperature, above=0, hint=", 2.0 as a rule")
        if weighting not in ("experience", "normalised"):
            check_number("LwF's weighting", weighting, least=0, hint=", or experience or normalised")
        self.temperature, self.weighting, self.among = temperature, weighting, among
        self.old: Params = {}
        self.heads: list[Tensor] = []
        """Indices of the classes seen, grouped by which compete in the same softmax."""
        self.n_past = 0

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store a copy of the learner as the old one."""
        if self.weighting == 0:
            return
        numbers = np.unique(np.concatenate([pool.numbers for pool in visit.experience.pools]))
        self.heads = _grown(self.heads, numbers, visit.ways)
        self.old, self.n_past = snapshot(learner), self.n_past + 1

    def loss_weight(self, learner: Learner, position: Position, *, runner: TaskRunner) -> float:
        """Return ``1/t`` in the normalised weighting, else 1."""
        return 1 / (self.n_past + 1) if self.weighting == "normalised" else 1.0

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return ``D`` times its weight; None in the first experience."""
        if not self.old:
            return None
        current = step.batch.take(slice(step.position.n_own))
        return self._distance_weight() * runner.mean(self.distances(learner, step, current, runner), current.weight)

    def _distance_weight(self) -> float:
        if isinstance(self.weighting, str):
            return self.n_past if self.weighting == "experience" else 1 - 1 / (self.n_past + 1)
        return self.weighting

    def distances(self, learner: Learner, step: Step, current: Episode, runner: TaskRunner) -> Tensor:
        """Return ``D`` of each of the stream's own units, ``(B,)``, which come first in the step's batch."""
        self.old = to_device(self.old, step.losses.device)
        new, ask = self._answers(learner, step, current, runner)
        with torch.no_grad(), evaluating(learner.network):
            old = ask(self.old)
        if not isinstance(learner.objective, Classification):
            return torch.func.vmap(learner.objective.loss)(new, old)
        if new.shape[-1] > old.shape[-1]:  # the classes not seen earlier
            old = F.pad(old, (0, new.shape[-1] - old.shape[-1]), value=-torch.inf)
        sizes = [len(head) for head in self.heads] if len(self.heads) > 1 and _has_heads(learner) else [new.shape[-1]]
        distance = binary_distillation if isinstance(learner.objective, OneVsRest) else distillation
        parts = zip(torch.split(new, sizes, -1), torch.split(old, sizes, -1), strict=True)
        return torch.stack([distance(n, o, self.temperature).mean(-1) for n, o in parts]).mean(0)

    def _answers(
        self, learner: Learner, step: Step, current: Episode, runner: TaskRunner
    ) -> tuple[Tensor, Callable[[Params], Tensor]]:
        """Return outputs ``(B, Q, …)``, recomputed if needed, and a function that computes those of the old learner."""
        seen = torch.cat(self.heads).to(step.losses.device)
        if isinstance(learner, Pretrained):

            def ask_classifier(params: Params) -> Tensor:
                outputs: Tensor = runner.map(
                    lambda task: learner.likelihood_outputs(runner.route(params, task.support_x, task.support_y), task),
                    learner,
                    current,
                )
                return outputs[..., seen]

            return ask_classifier(step.params), ask_classifier
        if not _has_heads(learner):
            return step.outputs[: len(current)], lambda params: runner.losses_and_outputs(learner, params, current)[1]
        ask, places = partial(runner.outputs, learner, batch=_among(current, seen)), _places(current, seen)
        if places is None:
            return ask(step.params), ask
        outputs = step.outputs[: len(current)]
        if self.among == "all":
            return outputs, partial(runner.outputs, learner, batch=current)
        rest = [outputs.scatter(-1, places, -torch.inf)] if self.among == "ways" else []
        return torch.cat([outputs.gather(-1, places), *rest], -1), ask

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes to the old learner, whose outputs are not used."""
        self.old = lengthened(self.old, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the old learner, for the checkpoint."""
        return {"old": self.old, "heads": self.heads, "n_past": self.n_past}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the old learner from the checkpoint."""
        self.old, self.heads, self.n_past = state["old"], list(state["heads"]), int(state["n_past"])


def distillation(new: Tensor, old: Tensor, temperature: float) -> Tensor:
    """Compute ``KL(softmax(old / T) ‖ softmax(new / T))`` over the last axis; −∞ marks an absent way.

    Args:
        new: logits ``(…, N)`` of the learner.
        old: logits ``(…, N)`` of its teacher.
        temperature: ``T``.

    Example:
        >>> distillation(torch.tensor([0.0, 0.0]), torch.tensor([0.0, -torch.inf]), 2.0)
        tensor(0.6931)
    """
    log_new, p_old = F.log_softmax(new / temperature, dim=-1), F.softmax(old / temperature, dim=-1)
    finite = log_new.masked_fill(p_old == 0, 0)  # 0 · ∞ is not a number
    return F.kl_div(finite, p_old, reduction="none").sum(-1)


def binary_distillation(new: Tensor, old: Tensor, temperature: float) -> Tensor:
    """Compute the binary divergences ``Σ_n KL(σ(old_n / T) ‖ σ(new_n / T))``; −∞ marks an absent way.

    Args:
        new: logits ``(…, N)`` of the learner.
        old: logits ``(…, N)`` of its teacher.
        temperature: ``T``.

    Example:
        >>> binary_distillation(torch.tensor([1.0, -2.0]), torch.tensor([1.0, -2.0]), 2.0)
        tensor(0.)
    """
    new, old = new / temperature, old / temperature
    return binary_losses(new, old.sigmoid()) - binary_losses(old, old.sigmoid())


def _has_heads(learner: Learner) -> bool:
    return learner.unit == "examples"


def _grown(heads: Sequence[Tensor], numbers: np.ndarray, ways: np.ndarray | None) -> list[Tensor]:
    """Return the heads after an experience, merging those whose classes are among its ways.

    The result is one head of all seen classes in the class scenario, the shared head in the domain scenario, and one
    head per experience in the task scenario.
    """
    new = numbers if ways is None else np.intersect1d(numbers, ways)
    joins = [ways is None or set(head.tolist()) <= set(ways.tolist()) for head in heads]
    separate = [head for head, joined in zip(heads, joins, strict=True) if not joined]
    merged = [head for head, joined in zip(heads, joins, strict=True) if joined]
    return [*separate, torch.unique(torch.cat([*merged, torch.from_numpy(new)]))]


def _among(batch: Episode, seen: Tensor) -> Episode:
    """Return the same examples with the classes ``(K,)`` competing in the softmax; their labels are not used."""
    return replace(batch, n_way=len(seen), classes=seen.expand(len(batch), -1), query_y=torch.zeros_like(batch.query_y))


def _places(batch: Episode, seen: Tensor) -> Tensor | None:
    """Return the positions of classes ``(K,)`` among each example's ways, ``(B, 1, K)``; None if any is missing."""
    assert batch.classes is not None
    same = batch.classes[:, None, None, :] == seen[:, None]
    return same.int().argmax(-1) if bool(same.any(-1).all()) else None
