"""Base of strategies that freeze a trunk and train a small set of parameters (an entry) in each experience.

Shapes: ``E`` entries, ``C`` classes of the stream, ``K`` classes of one experience, ``D`` features.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.plan import has_running_statistics
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import Unit
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.networks.heads import has_head
from lifelong.strategy import Strategy
from lifelong.utilities.ranges import check_number
from strategies.adapters.answers import EntryAnswers
from strategies.adapters.embedded import classes_of
from strategies.adapters.entry import DOWN, Entry, add_entry, empty_entry, joined, parted, stacked, unstacked
from strategies.adapters.head_rows import HEAD

ROUTING, WITH_RIGHT_ENTRY = "routing_accuracy", "score_with_right_entry"
"""Measures of a bank: whether a unit is routed to the entry of its own domain, and the score with that entry."""


class Adapters(Strategy):
    """Train the trunk in the first experience, or never, and one entry in each later experience.

    Abstract: subclasses define how the entries predict. On streams of labelled examples an entry changes only the
    layers below the head. Each head row belongs to a class: an experience trains the rows of its own classes, and all
    other rows are kept constant, regardless of momentum or weight decay.

    Args:
        rank: rank of the updates of linear layers.
        frozen_from_start: never train the trunk, for a pre-trained network. The first experience then also trains an
            entry.

    Raises:
        ValueError: when the rank is below 1, the network has running statistics, which change even if parameters are
            frozen, or predictions depend on other examples of the batch.
    """

    isolates_parameters: ClassVar[bool] = True

    def __init__(self, *, rank: int, frozen_from_start: bool) -> None:
        super().__init__()
        check_number(f"{type(self).__name__}'s rank", rank, least=1, whole=True, hint=", 4 as a rule")
        self.rank, self.frozen_from_start = rank, frozen_from_start
        self.current = nn.ParameterDict()
        self.entries: list[Entry] = []
        self.own = torch.zeros(0, dtype=torch.int64)
        """``(K,)`` classes of the current experience; empty for few-shot tasks, which have their own classes."""
        self.classes: list[Tensor] = []
        """The classes of each entry's experience; empty for few-shot tasks, which have their own classes."""
        self._stacked: dict[str, Tensor] | None = None
        self._held: Params = {}

    # -- life of an entry ---------------------------------------------------------------------------------------------

    def attach(self, learner: Learner) -> None:
        """Create an entry for the learner's network; refuse a network that cannot be frozen."""
        name = type(self).__name__
        if has_running_statistics(learner.network):
            raise ValueError(
                f"{name} freezes its trunk, but running statistics of norm layers move on in every experience: "
                "choose another norm (--model.network.norm batch, group, layer or instance), or another strategy"
            )
        of_examples = learner.unit == "examples"
        if of_examples:
            _check_examples(learner, name)
        for key, value in empty_entry(learner.network, self.rank, with_head=not of_examples).items():
            self.current[key] = nn.Parameter(value)

    @property
    def trunk_is_frozen(self) -> bool:
        """Return whether the trunk is frozen: from the second experience on, or always."""
        return bool(self.entries) or self.frozen_from_start

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the classes of the experience, and start its entry at zero."""
        if learner.unit == "examples":
            self.own = classes_of(visit.experience).to(learner.device)
        if self.entries:
            self.restart(self.entries[0], copies=False)

    def restart(self, source: Entry, *, copies: bool) -> None:
        """Start the current entry at zero or as a copy of another one.

        Args:
            source: the other entry; the ``down`` matrices of low-rank updates are always copied from it.
            copies: whether everything is copied.
        """
        with torch.no_grad():
            for key, parameter in self.current.items():
                fresh = key.endswith(DOWN) or copies
                parameter.copy_(source[key] if fresh else torch.zeros_like(parameter))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the entry."""
        self.entries.append({key: p.detach().clone() for key, p in self.current.items()})
        if learner.unit == "examples":
            self.classes.append(self.own.cpu())
        self.forget_copies()

    def forget_copies(self) -> None:
        """Drop cached tensors that were computed from the entries."""
        self._stacked = None

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the trunk's gradients until it is frozen, and then those of the entry and its head rows."""
        frozen = self.trunk_is_frozen
        kept = {name: g for name, g in gradients.items() if name.startswith("strategies.") == frozen}
        if frozen and len(self.own):
            heads = {name: gradients[name] for name in HEAD if name in gradients}
            self._held = {name: learner.get_parameter(name).detach().clone() for name in heads}
            kept |= {name: torch.where(self._is_own(g), g, torch.zeros_like(g)) for name, g in heads.items()}
        return kept

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Restore head rows of other experiences that momentum or weight decay has changed."""
        with torch.no_grad():
            for name, value in self._held.items():
                parameter = learner.get_parameter(name)
                parameter.copy_(torch.where(self._is_own(value), parameter, value))
        self._held = {}

    def _is_own(self, head: Tensor) -> Tensor:
        rows = torch.zeros(len(head), dtype=torch.bool, device=head.device)
        rows[self.own.to(head.device)] = True
        return rows.reshape(-1, *[1] * (head.dim() - 1))

    # -- answering ----------------------------------------------------------------------------------------------------

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the trunk plus the current entry in training; in evaluation the trunk."""
        if not (self.training and self.trunk_is_frozen):
            return params
        trains = HEAD if learner.unit == "examples" else ()
        held = {name: p if name in trains else p.detach() for name, p in params.items()}
        return add_entry(held, dict(self.current.items()))

    @abstractmethod
    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the predictions of the entries."""

    def responds(self, unit: Unit) -> bool:
        """Return whether :meth:`respond` predicts the unit: labelled examples only, as few-shot tasks are routed."""
        return unit == "examples"

    def known(self, learner: Learner) -> Tensor:
        """Return whether an entry knows a class, ``(E, C)``."""
        known = torch.zeros(len(self.classes), learner.n_classes, dtype=torch.bool)
        for row, classes in zip(known, self.classes, strict=True):
            row[classes] = True
        return known.to(learner.device)

    def with_entry(self, params: Params, number: int) -> Params:
        """Return the trunk's parameters with an entry added."""
        like = next(iter(params.values()))
        return add_entry(params, {key: stack[number] for key, stack in self.stack(like).items()})

    def answers(self, learner: Learner, params: Params, batch: Episode, runner: TaskRunner) -> EntryAnswers:
        """Return the predictions of the entries, each among the classes that it knows."""

        def ask(number: int, some: Episode) -> Tensor:
            return outputs_with(learner, self.with_entry(params, number), some, runner)

        return EntryAnswers(batch, ask, self.known(learner))

    def stack(self, like: Tensor) -> dict[str, Tensor]:
        """Return all entries as one tensor ``(E, …)`` for each key, on the device of another tensor."""
        if self._stacked is None:
            self._stacked = {key: torch.stack([e[key] for e in self.entries]).to(like.device) for key in self.current}
        return self._stacked

    def moved_entries(self, device: torch.device) -> list[Entry]:
        """Return the entries on a device, as those of a checkpoint are loaded on the CPU."""
        return [{key: value.to(device) for key, value in entry.items()} for entry in self.entries]

    # -- measures -----------------------------------------------------------------------------------------------------

    @property
    def routing_measures(self) -> tuple[str, ...]:
        """Return the names of the measures of :meth:`measure_routing`; empty if nothing is routed."""
        return ()

    def measure_routing(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Measure the routing of a batch from a domain that has an entry; each measure is ``(B,)``."""
        return {}

    def diagnose(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Measure the routing; NaN for a domain that has no entry yet."""
        if not self.entries:
            return {}
        if domain >= len(self.entries):
            return dict.fromkeys(self.routing_measures, torch.full_like(batch.weight, torch.nan))
        return self.measure_routing(learner, params, batch, domain, runner=runner)

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the entries and the classes of their experiences, for the checkpoint."""
        return {"entries": stacked(self.entries), "classes": joined(self.classes), "own": self.own}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the entries and classes from the checkpoint."""
        self.classes, self.own = parted(state["classes"]), state["own"]
        self.entries = unstacked(state["entries"]) or [{} for _ in self.classes]  # with a head only, entries are empty
        self.forget_copies()


def outputs_with(learner: Learner, params: Params, batch: Episode, runner: TaskRunner) -> Tensor:
    """Return the learner's outputs ``(B, N)`` for labelled examples, without routing the parameters again."""
    return runner.rerouted(lambda p, sx, sy: p).outputs(learner, params, batch)[:, 0]


def _check_examples(learner: Learner, name: str) -> None:
    network = learner.network
    if not (has_head(network) and isinstance(network.head, nn.Linear)):
        raise ValueError(
            f"{name} needs a network with features and a linear head, and {type(network).__name__} has none: wrap it "
            "in lifelong.networks.WithHead"
        )
    if type(learner).finish is not Learner.finish:
        raise ValueError(
            f"{name} predicts with the network's outputs, and {type(learner).__name__} with what it computes at the "
            f"end of an experience: set --model Classifier, or leave {name} out of --strategies"
        )
    if learner.transductive:
        raise ValueError(
            f"{name} predicts each example separately, and norm layers of {type(network).__name__} use the whole "
            "batch: choose another norm (--model.network.norm group, layer or instance)"
        )
