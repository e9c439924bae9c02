"""EASE: one subspace per experience, class prototypes in all subspaces, and old prototypes mapped into new ones.

Shapes: ``B`` examples, ``N`` ways, ``E`` subspaces, ``D`` features, ``C`` classes, ``K`` prototypes so far.
"""

from __future__ import annotations

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
from lifelong.learners.objective import one_hot
from lifelong.utilities.ranges import check_number
from strategies.adapters.base import Adapters
from strategies.adapters.embedded import embed, embedded_experience, places_among


class EASE(Adapters):
    """Train one adapter per experience and classify by cosine similarity to class prototypes in all subspaces (EASE).

    ``o_c(x) = Σ_e w_ce cos(φ_e(x), p_ce)``, where ``φ_e`` is the trunk's embedding with adapter ``e``, ``p_ce`` the
    mean of class ``c`` in it, and ``w_ce`` is 1 in the subspace of the class's own experience and ``α`` in all others.
    A class that appears again, as in the domain scenario, has a prototype from each of its experiences, and the most
    similar one is used.

    The examples of a class are no longer available when later adapters are trained. Its prototype in a new subspace
    ``b`` is therefore a combination of the prototypes of the new classes ``n``, weighted by their similarity to it in
    its own subspace ``t``: ``p_cb = Σ_n softmax_n(cos(p_ct, p_nt)) p_nb``.

    An adapter is trained together with its head rows, which are not used for prediction. As in the paper, set
    ``--data.classes current`` to let only the new classes compete in training.

    Args:
        rank: rank of the updates of linear layers.
        alpha: ``α``.
        frozen_from_start: never train the network, for a pre-trained one. Otherwise the first experience trains the
            network, whose embedding is the first subspace.

    Raises:
        ValueError: when a setting is out of range, or when the network has running statistics, depends on other
            examples of the batch, or has no linear head.

    Reference:
        Zhou, Sun, Ye & Zhan, "Expandable Subspace Ensemble for Pre-Trained Model-Based Class-Incremental Learning",
        CVPR 2024. Differences: adapters are differences to the trunk's parameters (:class:`~strategies.AdapterBank`)
        instead of bottlenecks parallel to its layers; they are trained with a linear instead of a cosine head; the
        trunk without an adapter is not a subspace of the ensemble.

    Example:
        >>> EASE(alpha=0.1).memory_bytes()
        0
    """

    streams: ClassVar[frozenset[StreamKind]] = frozenset(("class", "domain"))

    def __init__(self, *, rank: int = 4, alpha: float = 0.1, frozen_from_start: bool = False) -> None:
        super().__init__(rank=rank, frozen_from_start=frozen_from_start)
        check_number("EASE's alpha", alpha, least=0, hint=", 0.1 as a rule")
        self.alpha = alpha
        self.numbers = torch.zeros(0, dtype=torch.int64)
        """``(K,)`` the class of each prototype; a class has one prototype per experience that contains it."""
        self.owners = torch.zeros(0, dtype=torch.int64)
        """``(K,)`` the entry of each prototype's own experience."""
        self.prototypes = torch.zeros(0, 0, 0)
        """``(K, E, D)`` each prototype in each subspace."""

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the entry, compute the prototypes of its classes, and map the old ones into its subspace."""
        super().end(learner, visit, runner=runner)
        means = self._class_means(learner, visit, runner)
        own, newest = self.own.to(learner.device), len(self.entries) - 1
        self._move(learner.device)
        if newest:
            mapped = map_prototypes(self.prototypes, self.owners, means)
            self.prototypes = torch.cat([self.prototypes, mapped[:, None]], 1)
        self.prototypes = torch.cat([self.prototypes, means]) if newest else means
        self.numbers = torch.cat([self.numbers, own])
        self.owners = torch.cat([self.owners, torch.full_like(own, newest)])

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the weighted sum of cosines ``(B, 1, N)``, −∞ for ways without prototypes; None if there are none."""
        if not self.entries:
            return None
        self._move(batch.weight.device)
        assert batch.classes is not None
        known = batch.weight.new_zeros(batch.weight.shape[0], len(self.numbers))
        for number in range(len(self.entries)):
            features = embed(learner, self.with_entry(params, number), batch)
            weights = (self.owners == number).to(features) * (1 - self.alpha) + self.alpha
            with full_precision(features):
                subspace = F.normalize(self.prototypes[:, number].to(features), dim=-1)
                known = known + weights * (F.normalize(features, dim=-1) @ subspace.T)
        outputs = known.new_full((known.shape[0], learner.n_classes), -torch.inf)
        outputs = outputs.scatter_reduce(1, self.numbers.expand_as(known), known, "amax")
        ways = batch.classes
        return outputs.gather(1, ways.clamp_min(0)).masked_fill(ways < 0, -torch.inf)[:, None]

    def _class_means(self, learner: Learner, visit: Visit, runner: TaskRunner) -> Tensor:
        """Return the mean ``(K, E, D)`` of each class of the experience in each subspace."""
        params, own = learner.meta_parameters(), self.own.to(learner.device)
        sums: list[Tensor] = []
        counts: list[Tensor] = []
        choices = [self.with_entry(params, number) for number in range(len(self.entries))]
        for features, numbers in embedded_experience(learner, visit, choices):
            labels = one_hot(places_among(numbers, own), len(own)).double()
            sums.append(torch.einsum("nk,ned->ked", labels, torch.stack(features, 1).double()))
            counts.append(labels.sum(0))
        total = runner.sum(torch.stack(sums).sum(0))
        return (total / runner.sum(torch.stack(counts).sum(0))[:, None, None]).to(learner.dtype)

    def _move(self, device: torch.device) -> None:
        self.numbers, self.owners = self.numbers.to(device), self.owners.to(device)
        self.prototypes = self.prototypes.to(device)

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the entries and prototypes, for the checkpoint."""
        kept = {name: getattr(self, name) for name in ("numbers", "owners", "prototypes")}
        return {"entries": super().get_extra_state(), **kept}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the entries and prototypes from the checkpoint."""
        super().set_extra_state(state["entries"])
        self.numbers, self.owners, self.prototypes = state["numbers"], state["owners"], state["prototypes"]


def map_prototypes(old: Tensor, owners: Tensor, new: Tensor) -> Tensor:
    """Return old prototypes ``(K, D)`` in a new subspace, as combinations of the new classes' prototypes.

    Args:
        old: ``(K, E, D)`` old prototypes in the old subspaces.
        owners: ``(K,)`` the subspace of each old prototype's own experience.
        new: ``(n, E + 1, D)`` new prototypes in all subspaces, the new subspace last.

    Example:
        >>> old, new = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[2.0, 0.0], [4.0, 0.0]], [[3.0, 0.0], [0.0, 2.0]]])
        >>> map_prototypes(old, torch.tensor([0]), new).tolist()  # both are as similar as can be
        [[2.0, 1.0]]
    """
    rows = torch.arange(len(old), device=old.device)
    own = F.normalize(old[rows, owners], dim=-1)
    theirs = F.normalize(new, dim=-1)[:, owners]  # (n, K, D)
    similarities = torch.einsum("kd,nkd->kn", own, theirs)
    return similarities.softmax(-1) @ new[:, -1]
