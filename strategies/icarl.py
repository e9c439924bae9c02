"""iCaRL: exemplars, old answers as targets for old classes, and the nearest mean of exemplars as the answer.

Shapes: ``B`` examples, ``N`` ways, ``*X`` one input, ``D`` features, ``K`` classes with exemplars, ``C`` all classes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params, floating_type
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.learners.objective import one_hot
from lifelong.learners.one_vs_rest import OneVsRest
from lifelong.strategy import Step, nested_bytes
from lifelong.utilities.ranges import check_number
from strategies.memory.budget import Budget
from strategies.memory.herding import EMBED_AT_ONCE
from strategies.memory.rehearsal import Rehearsal, check_rehearsal
from strategies.snapshot import lengthened, snapshot, state_of, to_device


class ICaRL(Rehearsal):
    """Replay exemplars, distil the previous network and classify by the nearest mean of exemplars (iCaRL).

    The loss is ``Σ_n BCE(σ(o_n), t_n)`` over the ways, the prediction ``argmin_n ‖φ(x) − μ_n‖``. The target ``t_n`` is
    the label, and for the classes of earlier experiences ``σ(o_n^old / T)``, the answer of the network that ended the
    last one. The mean is over current examples and exemplars together, each counting as one. ``φ`` is the learner's
    embedding at unit length and ``μ_n`` the mean over class ``n``'s exemplars, at unit length again, by the network
    that ended the last experience.

    The learner must train the sigmoid loss (``--model.loss sigmoid``), which is all there is in the first experience.
    From the second on the penalty ``Σ_old (y_n − σ(o_n^old / T)) o_n`` makes the old answers ``t`` of the labels ``y``,
    exactly, as the loss is linear in its targets; it may be negative. For class-incremental streams alone, where
    classes become old.

    Args:
        budget: how much is kept: ``examples`` or ``bytes`` in all, or examples ``per_class``.
        policy: how exemplars are chosen: ``herding``, or ``class_balanced`` at random.
        temperature: ``T``.
        n_replay: exemplars drawn per step over all devices; as many as current ones where None. Weights make them count
            as often as exemplars are among all examples.

    Raises:
        ValueError: when the budget keeps nothing or is too small, a setting is out of range, or the learner's loss is
            another.

    Reference:
        Rebuffi, Kolesnikov, Sperl & Lampert, "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017;
        van de Ven, Tuytelaars & Tolias, Nature Machine Intelligence 2022 (they have ``T = 2``). Differences: exemplars
        are drawn for each step with weights in place of being mixed into the current examples, which has the same mean;
        herding aims at a mean that is not brought to unit length.

    Example:
        >>> ICaRL(budget=Budget(per_class=20)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    streams: ClassVar[frozenset[StreamKind]] = frozenset(("class",))

    def __init__(
        self,
        *,
        budget: Budget = Budget(per_class=100),
        policy: Literal["herding", "class_balanced"] = "herding",
        temperature: float = 1.0,
        n_replay: int | None = None,
    ) -> None:
        super().__init__(
            budget=budget,
            policy=policy,
        )
        check_rehearsal("ICaRL", "n_replay", n_replay)
        check_number("ICaRL's temperature", temperature, above=0, hint=", 1.0 as a rule")
        if self.budget.is_nothing:
            raise ValueError("ICaRL answers by its exemplars, and its budget is 0: raise it, or leave ICaRL out")
        self.temperature, self.n_replay = temperature, n_replay
        self.old: Params = {}
        self.classes = torch.zeros(0, dtype=torch.int64)
        """``(K,)`` numbers of the classes that have exemplars."""
        self.means = torch.zeros(0, 0)
        """``(K, D)`` the mean embedding of each class's exemplars, of unit length."""
        self.n_current = 1
        """Examples of the current experience."""

    def attach(self, learner: Learner) -> None:
        """Make a memory; refuse a learner of another loss."""
        super().attach(learner)
        if not isinstance(learner.objective, OneVsRest):
            raise ValueError(
                "ICaRL puts old answers in the place of labels in a sum of sigmoid losses, and this "
                f"{type(learner).__name__} trains another loss: set --model Classifier --model.loss sigmoid"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Note how many examples the experience has."""
        super().begin(learner, visit, runner=runner)
        self.n_current = sum(len(pool) for pool in visit.experience.pools)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Choose exemplars, compute their means, and copy the network as the old one."""
        with evaluating(learner.network):
            super().end(learner, visit, runner=runner)
            self.classes, self.means = self._exemplar_means(learner)
        self.old = snapshot(learner)

    # -- training -------------------------------------------------------------------------------------------------

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch with this rank's share of the exemplars."""
        n_replay = self.n_replay or position.n_tasks
        exemplars = self.draw(n_replay, batch, position) if len(self.memory) else None
        if exemplars is None:
            return batch
        weight = len(self.memory) / self.n_current * position.n_tasks / n_replay
        return Episode.cat([batch, exemplars.weighted(weight)])

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return what the loss lacks where old answers are the targets of old classes; at first nothing."""
        if not self.old:
            return None
        self._move(step.losses.device)
        assert step.batch.classes is not None
        with torch.no_grad(), evaluating(learner.network):
            answers = (runner.outputs(learner, self.old, step.batch) / self.temperature).sigmoid()
        labels = one_hot(step.batch.query_y, step.batch.n_way).to(answers.dtype)
        is_new = ~torch.isin(step.batch.classes, self.classes)[:, None]
        changes = ((labels - answers) * step.outputs.masked_fill(is_new, 0)).sum(-1).mean(-1)
        return runner.mean(changes, step.batch.weight)

    # -- answering ------------------------------------------------------------------------------------------------

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return ``−‖φ(x) − μ_n‖²`` for each way, −∞ for one without exemplars; None before there are any."""
        if not len(self.classes):
            return None
        self._move(batch.weight.device)
        assert batch.classes is not None
        features = _embed(learner, params, batch)
        exact = "donot_use_mm_for_euclid_dist"  # the other way loses the digits in which near means differ
        distances = torch.cdist(features, self.means.to(features.dtype), compute_mode=exact)
        outputs = features.new_full((features.shape[0], learner.n_classes), -torch.inf)
        outputs[:, self.classes] = -distances.square()
        at_ways = outputs.gather(1, batch.classes.clamp_min(0)).masked_fill(batch.classes < 0, -torch.inf)
        return at_ways[:, None]

    def _exemplar_means(self, learner: Learner) -> tuple[Tensor, Tensor]:
        params, pieces = state_of(learner), torch.split(torch.arange(len(self.memory)), EMBED_AT_ONCE)
        with torch.no_grad():
            batches = (self.examples.episode(rows, learner.device) for rows in pieces)
            features = torch.cat([_embed(learner, params, batch) for batch in batches])
        classes, place = torch.unique(self.examples.rows.label.long().to(features.device), return_inverse=True)
        totals = features.new_zeros(len(classes), features.shape[1]).index_add(0, place, features)
        return classes, F.normalize(totals, dim=-1)

    def _move(self, device: torch.device) -> None:
        self.old, self.classes, self.means = to_device(self.old, device), self.classes.to(device), self.means.to(device)

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def memory_bytes(self) -> int:
        """Count the bytes of the exemplars, their means and the old network."""
        return super().memory_bytes() + nested_bytes([self.old, self.classes, self.means])

    def extend(self, learner: Learner) -> None:
        """Give the old network rows of new classes, which it is not asked for."""
        self.old = lengthened(self.old, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return exemplars, means, the old network and the size of the experience, for the checkpoint."""
        state = {name: getattr(self, name) for name in ("old", "classes", "means", "n_current")}
        return state | {"memory": super().get_extra_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the same from the checkpoint."""
        super().set_extra_state(state["memory"])
        for name in ("old", "classes", "means", "n_current"):
            setattr(self, name, state[name])


def _embed(learner: Learner, params: Params, batch: Episode) -> Tensor:
    """Return ``φ(x)`` ``(B, D)`` of the one query of each example."""
    dtype = floating_type(params.values())
    return F.normalize(learner.embed(params, batch.to(dtype).query_x[:, 0]), dim=-1)
