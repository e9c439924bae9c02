"""iCaRL: exemplars, distillation of old classes, and classification by the nearest mean of exemplars.

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

    The loss is ``Σ_n BCE(σ(o_n), t_n)`` over the ways, and the prediction ``argmin_n ‖φ(x) − μ_n‖``. The target ``t_n``
    is the label, but for classes of earlier experiences it is ``σ(o_n^old / T)``, the output of the network at the end
    of the previous experience. The mean is over current examples and all exemplars with equal weight. ``φ`` is the
    learner's embedding, normalised to unit length. ``μ_n`` is the normalised mean over the exemplars of class ``n``,
    computed by the network at the end of the previous experience.

    The learner must train the sigmoid loss (``--model.loss sigmoid``); in the first experience this is the whole loss.
    From the second experience on the penalty ``Σ_old (y_n − σ(o_n^old / T)) o_n`` replaces the labels ``y`` of old
    classes by the targets ``t``. This is exact, since the loss is linear in its targets; the penalty may be negative.
    iCaRL supports class-incremental streams only.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        policy: how exemplars are selected: ``herding``, or ``class_balanced`` for random ones.
        temperature: ``T``.
        n_replay: exemplars drawn per step over all devices. Default: as many as current ones. Their weights make their
            share of the loss equal to the share of exemplars among all examples.

    Raises:
        ValueError: when the budget is zero or too small, a setting is out of range, or the learner trains another loss.

    Reference:
        Rebuffi, Kolesnikov, Sperl & Lampert, "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017;
        van de Ven, Tuytelaars & Tolias, Nature Machine Intelligence 2022 (with ``T = 2``). Differences: exemplars are
        drawn for each step and weighted instead of being mixed into the current examples, which has the same
        expectation; herding approximates a mean that is not normalised to unit length.

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
            raise ValueError("ICaRL predicts from its exemplars, and its budget is 0: raise it, or leave ICaRL out")
        self.temperature, self.n_replay = temperature, n_replay
        self.old: Params = {}
        self.classes = torch.zeros(0, dtype=torch.int64)
        """``(K,)`` indices of the classes that have exemplars."""
        self.means = torch.zeros(0, 0)
        """``(K, D)`` the normalised mean embedding of each class's exemplars."""
        self.n_current = 1
        """Number of examples of the current experience."""

    def attach(self, learner: Learner) -> None:
        """Create a memory; refuse a learner that trains another loss."""
        super().attach(learner)
        if not isinstance(learner.objective, OneVsRest):
            raise ValueError(
                "ICaRL replaces labels by old outputs in a sum of sigmoid losses, and this "
                f"{type(learner).__name__} trains another loss: set --model Classifier --model.loss sigmoid"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the number of examples of the experience."""
        super().begin(learner, visit, runner=runner)
        self.n_current = sum(len(pool) for pool in visit.experience.pools)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Select exemplars, compute their means, and store a copy of the network as the old one."""
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
        """Return the term that makes the old outputs the targets of old classes; None in the first experience."""
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
        """Return ``−‖φ(x) − μ_n‖²`` for each way, −∞ for ways without exemplars; None before there are any."""
        if not len(self.classes):
            return None
        self._move(batch.weight.device)
        assert batch.classes is not None
        features = _embed(learner, params, batch)
        exact = "donot_use_mm_for_euclid_dist"  # the matrix product is too imprecise for near means
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
        """Return the bytes of the exemplars, their means and the old network."""
        return super().memory_bytes() + nested_bytes([self.old, self.classes, self.means])

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes to the old network, whose outputs are not used."""
        self.old = lengthened(self.old, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return exemplars, means, the old network and the size of the experience, for the checkpoint."""
        state = {name: getattr(self, name) for name in ("old", "classes", "means", "n_current")}
        return state | {"memory": super().get_extra_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        super().set_extra_state(state["memory"])
        for name in ("old", "classes", "means", "n_current"):
            setattr(self, name, state[name])


def _embed(learner: Learner, params: Params, batch: Episode) -> Tensor:
    """Return ``φ(x)`` ``(B, D)`` for the single query of each example."""
    dtype = floating_type(params.values())
    return F.normalize(learner.embed(params, batch.to(dtype).query_x[:, 0]), dim=-1)
