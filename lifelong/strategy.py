"""The strategy contract: hooks through which a plug-in reduces forgetting, all of which do nothing by default.

Shapes: ``B`` tasks, ``S`` support examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import EVERY_STREAM, StreamKind, Unit
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.utilities.recorded import Recorded


@dataclass(frozen=True)
class Step:
    """Store the results of a training step, for penalties.

    Args:
        batch: the tasks of the step: first those of the stream, then rehearsed ones.
        params: meta-parameters from which the losses were computed.
        outputs: outputs of all tasks, ``(B, Q, …)``.
        losses: losses ``(B,)``.
        position: position in the stream.
    """

    batch: Episode
    params: Params
    outputs: Any
    losses: Tensor
    position: Position


class Strategy(Recorded, nn.Module):
    """Reduce catastrophic forgetting; a subclass overrides the hooks that it needs.

    A strategy receives state and returns results; it never modifies the trainer, the loader or the loss. Its state is
    in parameters, buffers or ``get_extra_state``, so it is saved in the checkpoint. Every process has its own buffers,
    which are not averaged; use the ``runner`` to sum or gather values that must be the same on all processes.

    Example:
        >>> class Decay(Strategy):
        ...     def penalty(self, learner, step, *, runner):
        ...         return 1e-4 * sum(p.square().sum() for p in step.params.values())
        >>> Decay().memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = False
    """Whether it gives each experience its own parameters and freezes the shared ones."""
    protects_shared_parameters: ClassVar[bool] = False
    """Whether it acts on the shared parameters during training, and is useless if another strategy freezes them."""
    streams: ClassVar[frozenset[StreamKind]] = EVERY_STREAM
    """The kinds of stream that it supports; others are rejected at the start."""
    penalises_outputs: ClassVar[bool] = True
    """Whether its penalty is differentiated through the outputs of the step, whose graphs must then be kept."""

    @property
    def needs_boundaries(self) -> bool:
        """Return whether it acts at the end of experiences, so that it does nothing on a stream without boundaries."""
        return True

    def attach(self, learner: Learner) -> None:
        """Create parameters that depend on the learner; called once, before training and loading a checkpoint."""

    def extend(self, learner: Learner) -> None:
        """Extend state per class or parameter to the learner's size, when a finished stream is extended."""

    def check(self, learner: Learner, visits: Sequence[Visit]) -> None:
        """Reject unsupported streams before training, given the ordered experiences to learn."""

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Act before the first step of an experience (not repeated when a run resumes within the experience)."""

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Act after the last step of an experience and before its evaluation: the last access to its data."""

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch to train on, which may append weighted stored tasks; contains only this rank's share."""
        return batch

    def loss_weight(self, learner: Learner, position: Position, *, runner: TaskRunner) -> float:
        """Return the factor of the mean loss (not of penalties), which must be the same on every rank."""
        return 1.0

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return a scalar to add to the mean loss, averaged over ranks like the loss, or None."""
        return None

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        """Observe the gradients of loss and penalties, averaged over ranks, before any strategy changes them."""

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients for the optimizer by parameter name, averaged over ranks; missing names are frozen."""
        return gradients

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Act after an optimizer step, on the updated parameters."""

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the parameters for ONE task, chosen from its support set ``(S, *X)``, ``(S, N)`` or ``(S, *Y)``."""
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return outputs ``(B, Q, …)`` to evaluate instead of the learner's, or None to keep those."""
        return None

    def responds(self, unit: Unit) -> bool:
        """Return whether it predicts instead of the learner for this unit; by default, if it overrides ``respond``."""
        return overrides(self, "respond")

    def answered_by(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the index ``(B,)`` of the experience whose parameters predict each task, or None if there is none."""
        return None

    def diagnose(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return measures ``(B,)`` for the report, by name; called only in evaluation, with the domain's index."""
        return {}

    def training_measures(self, learner: Learner, step: Step, *, runner: TaskRunner) -> dict[str, Tensor | float]:
        """Return scalars to log with a training step, by name; logged as ``train/<strategy>/<name>``."""
        return {}

    def memory_bytes(self) -> int:
        """Return the bytes that the strategy keeps between experiences."""
        registered = sum(t.nbytes for t in (*self.parameters(), *self.buffers()))
        return registered + nested_bytes(self.get_extra_state() if has_extra_state(self) else None)

    def most_bytes(self) -> int | None:
        """Return an upper bound of :meth:`memory_bytes` over the whole stream, or None if it is unknown."""
        return None


@final
class Chain(Strategy):
    """Apply several strategies as one; the empty chain is plain fine-tuning.

    Args:
        strategies: applied in this order.

    Raises:
        ValueError: when two of them cannot be combined (both are named).

    Example:
        >>> Chain([]).memory_bytes()
        0
    """

    def __init__(self, strategies: Iterable[Strategy] = ()) -> None:
        super().__init__()
        self.members = nn.ModuleList(strategies)
        _check_combination(list(self))

    def __iter__(self) -> Iterator[Strategy]:
        for member in self.members:
            assert isinstance(member, Strategy)
            yield member

    @property
    def names(self) -> list[str]:
        """Return the class names, in order."""
        return [type(member).__name__ for member in self]

    @property
    def needs_boundaries(self) -> bool:
        """Return whether any member needs boundaries."""
        return any(member.needs_boundaries for member in self)

    def overrides(self, *hooks: str) -> bool:
        """Return whether any member overrides one of these hooks."""
        return any(overrides(member, hook) for member in self for hook in hooks)

    def attach(self, learner: Learner) -> None:
        """Attach every member."""
        for member in self:
            member.attach(learner)

    def extend(self, learner: Learner) -> None:
        """Extend every member."""
        for member in self:
            member.extend(learner)

    def check(self, learner: Learner, visits: Sequence[Visit]) -> None:
        """Let every member check the experiences."""
        for member in self:
            member.check(learner, visits)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Call ``begin`` of every member."""
        for member in self:
            member.begin(learner, visit, runner=runner)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Call ``end`` of every member."""
        for member in self:
            member.end(learner, visit, runner=runner)

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Pass the result of each member to the next one."""
        for member in self:
            batch = member.rehearse(learner, batch, position, runner=runner)
        return batch

    def loss_weight(self, learner: Learner, position: Position, *, runner: TaskRunner) -> float:
        """Return the product of the members' factors."""
        return math.prod(member.loss_weight(learner, position, runner=runner) for member in self)

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return the sum of the members' penalties."""
        penalties = [p for member in self if (p := member.penalty(learner, step, runner=runner)) is not None]
        return torch.stack(penalties).sum() if penalties else None

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        """Show every member the same gradients."""
        for member in self:
            member.observe(learner, gradients, position, runner=runner)

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients of the one member that changes them."""
        for member in self:
            gradients = member.project(learner, gradients, position, runner=runner)
        return gradients

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Call ``stepped`` of every member."""
        for member in self:
            member.stepped(learner, position, runner=runner)

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Pass the result of each member to the next one."""
        for member in self:
            params = member.route(learner, params, support_x, support_y)
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the outputs of the only member that predicts instead of the learner."""
        answers = (member.respond(learner, params, batch, runner=runner) for member in self)
        return next((answer for answer in answers if answer is not None), None)

    def answered_by(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the result of the only member that has parameters per experience."""
        numbers = (member.answered_by(learner, params, batch, runner=runner) for member in self)
        return next((number for number in numbers if number is not None), None)

    def diagnose(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return all members' measures, prefixed with their class names."""
        return {
            f"{type(member).__name__}/{name}": values
            for member in self
            for name, values in member.diagnose(learner, params, batch, domain, runner=runner).items()
        }

    def training_measures(self, learner: Learner, step: Step, *, runner: TaskRunner) -> dict[str, Tensor | float]:
        """Return all members' scalars, prefixed with their class names."""
        return {
            f"{type(member).__name__}/{name}": value
            for member in self
            for name, value in member.training_measures(learner, step, runner=runner).items()
        }

    def memory_bytes(self) -> int:
        """Return the sum of the members' bytes."""
        return sum(member.memory_bytes() for member in self)

    def bind(self, learner: Learner, runner: TaskRunner) -> TaskRunner:
        """Return a runner that routes every task by the members' routes."""
        route = partial(self.route, learner) if self.overrides("route") else None
        keeps_outputs = any(overrides(member, "penalty") and member.penalises_outputs for member in self)
        return runner.routed(route, self, keeps_outputs=keeps_outputs)


def _check_combination(strategies: Sequence[Strategy]) -> None:
    for kind in {type(s) for s in strategies}:
        if sum(type(s) is kind for s in strategies) > 1:
            raise ValueError(f"{kind.__name__} is given twice in --strategies: give it once")
    isolating = [s for s in strategies if s.isolates_parameters]
    clashing = [s for s in strategies if s.protects_shared_parameters] if isolating else []
    for other in (*isolating[1:], *clashing):
        reason = (
            "both give each experience parameters of its own"
            if other.isolates_parameters
            else (f"{type(isolating[0]).__name__} stops the shared parameters that {type(other).__name__} protects")
        )
        raise ValueError(
            f"{type(isolating[0]).__name__} and {type(other).__name__} cannot be combined: {reason}; leave one out of "
            "--strategies"
        )
    for hook, deed in (("project", "change the gradients"), ("respond", "replace the learner's outputs")):
        doing = [s for s in strategies if overrides(s, hook)]
        if len(doing) > 1:
            raise ValueError(
                f"{type(doing[0]).__name__} and {type(doing[1]).__name__} cannot be combined: both {deed}; leave one "
                "out of --strategies"
            )


def overrides(strategy: Strategy, hook: str) -> bool:
    """Return whether a strategy overrides a hook."""
    return getattr(type(strategy), hook) is not getattr(Strategy, hook)


def has_part_in_answers(strategy: Strategy) -> bool:
    """Return whether predictions depend on a strategy itself, not only on its effect during training."""
    return overrides(strategy, "route") or overrides(strategy, "respond")


def has_extra_state(module: nn.Module) -> bool:
    """Return whether a module has state besides parameters and buffers."""
    return type(module).get_extra_state is not nn.Module.get_extra_state


def nested_bytes(value: Any) -> int:
    """Count the bytes of all tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(nested_bytes(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(nested_bytes(v) for v in value)
    return 0
