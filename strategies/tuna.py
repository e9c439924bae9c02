"""TUNA: one adapter per experience, selected by minimum entropy, combined with one merged from all adapters.

Shapes: ``B`` examples, ``N`` ways, ``E`` entries.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Visit
from lifelong.learners.base import Learner
from lifelong.learners.features import full_precision
from lifelong.strategy import Step
from lifelong.utilities.ranges import check_number
from strategies.adapters.answers import EntryAnswers, entropy
from strategies.adapters.base import ROUTING, WITH_RIGHT_ENTRY, Adapters, outputs_with
from strategies.adapters.class_gaussians import ClassGaussians, class_statistics
from strategies.adapters.embedded import embed
from strategies.adapters.entry import squared_projections
from strategies.adapters.merging import fused, with_differences


class TUNA(Adapters):
    """Train one adapter per experience and predict with the most confident one and a merged, universal one (TUNA).

    ``p(c | x) = ½ p(c | e*, x) + ½ p(c | u, x)`` over all classes so far. ``e*`` is the adapter whose prediction has
    the least entropy. ``u`` is merged from all adapters: for each parameter, the largest difference with the elected
    sign (:func:`~strategies.adapters.merging.fused`). The outputs of head rows trained in different experiences are not
    comparable. From the second experience on the head is therefore aligned: it is replaced by the optimal linear
    classifier for Gaussians with a shared covariance around the class means
    (:class:`~strategies.adapters.class_gaussians.ClassGaussians`), ``o_c = μ_cᵀ Σ⁻¹ f − ½ μ_cᵀ Σ⁻¹ μ_c``, with each
    class in the normalised embedding of its own adapter.

    While adapter ``b`` is trained, the penalty ``λ Σ_e Σ_θ ⟨Δ_bθ, Δ_eθ⟩² / ‖Δ_eθ‖²`` over the parameters ``θ`` that
    adapters change pushes it to be orthogonal to earlier ones. TUNA supports class-incremental streams only. As in the
    paper, set ``--data.classes current`` to let only the new classes compete in training.

    Args:
        rank: rank of the updates of linear layers.
        orthogonality: ``λ``.
        align: predict with the aligned head; if False, with the head rows that each experience has trained.
        frozen_from_start: never train the network, for a pre-trained one. Otherwise the first experience trains the
            network, and the first adapter is zero.

    Raises:
        ValueError: when a setting is out of range, or when the network has running statistics, depends on other
            examples of the batch, or has no linear head.

    Reference:
        Wang, Zhou & Ye, "Integrating Task-Specific and Universal Adapters for Pre-Trained Model-based Class-Incremental
        Learning", ICCV 2025. Differences: adapters are differences to the trunk's parameters
        (:class:`~strategies.AdapterBank`), and these are merged and made orthogonal, not bottleneck matrices; the
        penalty is the squared projection instead of the cosine of rows; the head is linear and trained with the
        learner's loss instead of a cosine head with a margin; it is aligned in closed form instead of by gradient steps
        on features sampled from Gaussians. Probabilities are averaged, as in the authors' code.

    Example:
        >>> TUNA().memory_bytes()
        0
    """

    streams: ClassVar[frozenset[StreamKind]] = frozenset(("class",))
    penalises_outputs: ClassVar[bool] = False

    def __init__(
        self, *, rank: int = 4, orthogonality: float = 0.1, align: bool = True, frozen_from_start: bool = False
    ) -> None:
        super().__init__(rank=rank, frozen_from_start=frozen_from_start)
        check_number("TUNA's orthogonality", orthogonality, least=0, hint=", 0.1 as a rule")
        self.orthogonality, self.align = orthogonality, align
        self.gaussians = ClassGaussians()
        self._universal: Params | None = None
        self._head: list[tuple[Tensor, Tensor]] | None = None

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the adapter and the class means in its embedding."""
        super().end(learner, visit, runner=runner)
        if self.align:
            params = self.with_entry(learner.meta_parameters(), len(self.entries) - 1)
            self.gaussians.add(*class_statistics(learner, params, visit, self.own, runner, unit_length=True))

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return the penalty that makes the current adapter orthogonal to earlier ones; None while there are none."""
        if not self.entries or not self.orthogonality:
            return None
        return self.orthogonality * squared_projections(dict(self.current.items()), self.stack(step.losses))

    def forget_copies(self) -> None:
        """Drop cached tensors that were computed from the entries."""
        super().forget_copies()
        self._universal = self._head = None

    def known(self, learner: Learner) -> Tensor:
        """Return that every entry knows all classes so far, ``(E, C)``, as the head has rows for all of them."""
        known = super().known(learner)
        return known.any(0, keepdim=True).expand_as(known)

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return ``log p(c | x)`` ``(B, 1, N)``; None before there is an entry."""
        if not self.entries:
            return None
        surest, _ = _surest(self.answers(learner, params, batch, runner))
        return self._with_universal(learner, params, batch, runner, surest)

    @property
    def routing_measures(self) -> tuple[str, ...]:
        """Return the names of both routing measures."""
        return ROUTING, WITH_RIGHT_ENTRY

    def measure_routing(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Measure whether the most confident entry is that of the example's experience, and the score of the latter."""
        answers = self.answers(learner, params, batch, runner)
        right = self._with_universal(learner, params, batch, runner, answers.of_entry(domain))
        return {
            ROUTING: (_surest(answers)[1] == domain).to(batch.weight),
            WITH_RIGHT_ENTRY: learner.scores_of(right, batch),
        }

    def answers(self, learner: Learner, params: Params, batch: Episode, runner: TaskRunner) -> EntryAnswers:
        """Return the predictions of the entries, with the aligned head from the second experience on."""

        def ask(number: int, some: Episode) -> Tensor:
            return self._outputs(learner, self.with_entry(params, number), some, runner)

        return EntryAnswers(batch, ask, self.known(learner))

    def _with_universal(
        self, learner: Learner, params: Params, batch: Episode, runner: TaskRunner, specific: Tensor
    ) -> Tensor:
        if self._universal is None:
            self._universal = fused(params, self.moved_entries(learner.device))
        changed = with_differences(params, self._universal)
        known = self.known(learner)[:1]
        universal = EntryAnswers(batch, lambda _, some: self._outputs(learner, changed, some, runner), known)
        return (torch.logaddexp(specific, universal.of_entry(0)) - math.log(2))[:, None]

    def _outputs(self, learner: Learner, params: Params, batch: Episode, runner: TaskRunner) -> Tensor:
        """Return the outputs ``(B, N)`` of the aligned head, or in the first experience of the learner's head."""
        if not self.align or len(self.entries) < 2:
            return outputs_with(learner, params, batch, runner)
        features = F.normalize(embed(learner, params, batch), dim=-1)
        outputs = features.new_full((features.shape[0], learner.n_classes), -torch.inf)
        with full_precision(features):
            for classes, (weight, bias) in zip(self.classes, self._rule(), strict=True):
                outputs[:, classes.to(outputs.device)] = features @ weight.to(features).T + bias.to(features)
        assert batch.classes is not None
        return outputs.gather(1, batch.classes.clamp_min(0))

    def _rule(self) -> list[tuple[Tensor, Tensor]]:
        self._head = self._head or self.gaussians.linear_rule()
        return self._head

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the entries and class means, for the checkpoint."""
        return {"entries": super().get_extra_state(), "gaussians": self.gaussians.state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the entries and class means from the checkpoint."""
        super().set_extra_state(state["entries"])
        self.gaussians.load(state["gaussians"])


def _surest(answers: EntryAnswers) -> tuple[Tensor, Tensor]:
    """Return for each example the prediction with the least entropy ``(B, N)`` and the entry that made it ``(B,)``."""
    surest = answers.of_entry(0)
    least = entropy(surest)
    chosen = torch.zeros_like(least, dtype=torch.int64)
    for number in range(1, len(answers.known)):
        answer = answers.of_entry(number)
        surer = entropy(answer) < least
        surest = torch.where(surer[:, None], answer, surest)
        least, chosen = torch.where(surer, entropy(answer), least), chosen.masked_fill(surer, number)
    return surest, chosen
