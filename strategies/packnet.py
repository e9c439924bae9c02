"""PackNet: one network for all experiences, each of which permanently keeps a share of the weights.

Shapes: ``B`` examples, ``N`` ways, ``C`` classes of the stream, ``D`` features.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.plan import has_running_statistics
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.networks.heads import has_head
from lifelong.strategy import Strategy
from lifelong.utilities.ranges import check_number
from strategies.snapshot import lengthened, snapshot, to_device

log = logging.getLogger(__name__)


class PackNet(Strategy):
    """Train the free weights, prune all but the largest, retrain and freeze these, for each experience (PackNet).

    ``kept_e = top_{keep} |θ|`` of each layer's free weights. Examples of experience ``e`` are predicted with the
    weights of experiences ``1 … e`` and zeros for all other weights, so nothing is forgotten. Pruning applies to the
    weights below the head (tensors with at least two dimensions). Biases and norm scales are trained in the first
    experience only. The head is not pruned; each experience owns the rows of its classes. PackNet supports the task
    scenario only, because the ways of an example identify its mask.

    Args:
        keep: share of the free weights that an experience keeps. Default: ``1 / experiences left``, so that all
            experiences keep equally many and the last one keeps all free weights.
        retrain: share of an experience's steps, at its end, that train the kept weights after the others are zeroed.

    Raises:
        ValueError: when a share is out of range, the network has no linear head of its own, or it has running
            statistics, which change even if weights are frozen.

    Reference:
        Mallya & Lazebnik, "PackNet: Adding Multiple Tasks to a Single Network by Iterative Pruning", CVPR 2018.
        Differences: retraining is part of the experience's steps, so that every strategy takes the same number; the
        optimizer is not reset for it; by default experiences keep equally many weights instead of a fixed share of the
        free ones.

    Example:
        >>> PackNet(keep=0.5).memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = True
    streams: ClassVar[frozenset[StreamKind]] = frozenset(("task",))

    def __init__(self, *, keep: float | None = None, retrain: float = 0.33) -> None:
        super().__init__()
        check_number("PackNet's keep", keep, above=0, most=1, hint=", a share of the weights such as 0.5")
        check_number("PackNet's retrain", retrain, least=0, below=1, hint=", a share of the steps")
        self.keep, self.retrain = keep, retrain
        self.owner: Params = {}
        """For each weight the number of the experience that keeps it, starting at 1; 0 if it is free."""
        self.values: Params = {}
        """Values of the frozen weights."""
        self.number, self.is_pruned, self.share, self.prune_at = 0, False, 1.0, 0
        self.ways = torch.zeros(0, dtype=torch.int64)

    # -- life of an experience ------------------------------------------------------------------------------------

    def attach(self, learner: Learner) -> None:
        """Refuse a network that cannot be packed."""
        network = learner.network
        if not (has_head(network) and isinstance(network.head, nn.Linear)):
            raise ValueError(
                f"PackNet needs a network with features and a linear head, and {type(network).__name__} has none: wrap "
                "it in lifelong.networks.WithHead"
            )
        if has_running_statistics(network):
            raise ValueError(
                "PackNet freezes weights, but running statistics of norm layers move on in every experience: choose "
                "another norm (--model.network.norm batch, group, layer or instance), or another strategy"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Compute how many weights the experience keeps and at which step it prunes."""
        assert visit.ways is not None
        left = visit.n_experiences - visit.experience.index
        self.share = 1 / left if self.keep is None else self.keep
        if self.owner and not any((o == 0).any() for n, o in self.owner.items() if is_packed(n, o)):
            log.warning(
                "PackNet has shared out all weights, and %s is learnt by its rows of the head alone: for a stream that "
                "is to grow set its keep, such as 0.3, from the start",
                visit.experience.name,
            )
        self.prune_at = visit.n_steps - round(self.retrain * visit.n_steps)
        self.ways = torch.from_numpy(visit.ways)
        self.number, self.is_pruned = self.number + 1, False

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch unchanged, after undoing changes of frozen weights by momentum or decay."""
        self._hold(learner)
        if position.step >= self.prune_at and not self.is_pruned:
            self._prune(learner)
        return batch

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients with zeros for frozen weights."""
        if not self.owner:
            return gradients
        return {n: g.masked_fill(self._held(n), 0) if n in self.owner else g for n, g in gradients.items()}

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Fix the weights that this experience keeps, and freeze all weights until the next experience."""
        self._hold(learner)
        if not self.is_pruned:
            self._prune(learner)
        self.values = snapshot(learner)

    def _hold(self, learner: Learner) -> None:
        self.owner, self.values = to_device(self.owner, learner.device), to_device(self.values, learner.device)
        with torch.no_grad():
            for name in self.owner:
                parameter = learner.get_parameter(name)
                parameter.copy_(torch.where(self._held(name), self.values[name], parameter))

    def _held(self, name: str) -> Tensor:
        return self.owner[name] != self.number if self.is_pruned else self.owner[name] > 0

    def _prune(self, learner: Learner) -> None:
        for name, value in snapshot(learner).items():
            owner = self.owner.get(name, torch.zeros_like(value, dtype=torch.int16))
            self.owner[name] = owner.masked_fill(self._chosen(name, value, owner == 0), self.number)
            self.values[name] = value.masked_fill(self.owner[name] == 0, 0) if is_packed(name, value) else value
        self.is_pruned = True
        self._hold(learner)

    def _chosen(self, name: str, value: Tensor, free: Tensor) -> Tensor:
        """Return a mask of the free weights that the experience keeps."""
        if is_packed(name, value):
            return largest(value, free, round(self.share * int(free.sum())))
        if not name.startswith(HEAD):
            return free
        rows = torch.zeros_like(free)
        rows[self.ways.to(rows.device)] = True
        return rows & free

    # -- answering ------------------------------------------------------------------------------------------------

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return each example's outputs with the weights of its ways' experience and of earlier ones.

        Examples of an experience that has not been learnt yet are predicted with all weights.
        """
        if not self.owner:
            return None
        assert batch.classes is not None
        self.owner = to_device(self.owner, batch.weight.device)
        numbers = self.owner[HEAD + "weight"][:, 0][batch.classes[:, 0]]
        by_experience = [(numbers == n, self._packed(params, int(n))) for n in torch.unique(numbers)]
        if len(by_experience) == 1:
            return runner.outputs(learner, by_experience[0][1], batch)
        answers = [(rows, runner.outputs(learner, packed, batch.take(rows))) for rows, packed in by_experience]
        whole = answers[0][1].new_zeros(len(batch), *answers[0][1].shape[1:])
        for rows, answer in answers:
            whole[rows] = answer
        return whole

    def _packed(self, params: Params, number: int) -> Params:
        if number == 0:
            return params
        absent = {n: (o == 0) | (o > number) for n, o in self.owner.items() if is_packed(n, o)}
        return {name: p.masked_fill(absent[name], 0) if name in absent else p for name, p in params.items()}

    def shares(self) -> list[float]:
        """Return the share of the prunable weights that each experience so far keeps."""
        packed = torch.cat([o.flatten() for n, o in self.owner.items() if is_packed(n, o)] or [torch.zeros(0)])
        return [float((packed == n).float().mean()) for n in range(1, self.number + 1)] if len(packed) else []

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def extend(self, learner: Learner) -> None:
        """Mark the rows of new classes as free."""
        self.owner = lengthened(self.owner, learner, fill=0)
        self.values = lengthened(self.values, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return owners, values and the progress of the experience, for the checkpoint."""
        names = ("owner", "values", "number", "is_pruned", "share", "prune_at", "ways")
        return {name: getattr(self, name) for name in names}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)


HEAD = "network.head."


def is_packed(name: str, value: Tensor) -> bool:
    """Return whether a tensor is divided among experiences: the weights below the head."""
    return name.startswith("network.") and not name.startswith(HEAD) and value.dim() > 1


def largest(value: Tensor, among: Tensor, n: int) -> Tensor:
    """Return a mask of the ``n`` largest magnitudes of ``value`` where ``among`` is true.

    Example:
        >>> largest(torch.tensor([3.0, -2.0, 1.0]), torch.tensor([False, True, True]), 1)
        tensor([False,  True, False])
    """
    order = value.abs().masked_fill(~among, -1).flatten().argsort(descending=True, stable=True)
    mask = torch.zeros_like(among).flatten()
    mask[order[:n]] = True
    return mask.view_as(among)
