"""The strategy contract: the places at which a plug-in may step in against forgetting, all neutral by default.

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
    """Hold what a training step produced, for penalties.

    Args:
        batch: the tasks, rehearsed ones included; the stream's own come first.
        params: meta-parameters that the losses were computed from.
        outputs: what ``predict`` returned, batched.
        losses: ``(B,)`` losses.
        position: where in the stream.
    """

    batch: Episode
    params: Params
    outputs: Any
    losses: Tensor
    position: Position


class Strategy(Recorded, nn.Module):
    """Plug in against catastrophic forgetting; override what it needs, leave the rest neutral.

    A strategy receives state and returns results; it never assigns onto the trainer, the loader or the loss. What it
    remembers lives in parameters, buffers or ``get_extra_state`` and so travels in the checkpoint. Buffers are those of
    each process: nothing averages them, so what must agree is summed or gathered by the ``runner``.

    Example:
        >>> class Decay(Strategy):
        ...     def penalty(self, learner, step, *, runner):
        ...         return 1e-4 * sum(p.square().sum() for p in step.params.values())
        >>> Decay().memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = False
    """Gives each experience parameters of its own and stops the shared ones from moving."""
    protects_shared_parameters: ClassVar[bool] = False
    """Works on the shared parameters while they move, so is useless where another strategy stops them."""
    streams: ClassVar[frozenset[StreamKind]] = EVERY_STREAM
    """The kinds of stream that it makes sense on; on others it is refused at the start."""
    penalises_outputs: ClassVar[bool] = True
    """Its penalty is differentiated through the outputs of the step, whose graphs must be kept until then."""

    @property
    def needs_boundaries(self) -> bool:
        """Return whether it works at the end of experiences, so does nothing on a stream without boundaries."""
        return True

    def attach(self, learner: Learner) -> None:
        """Size parameters after the learner; once, before training and before a checkpoint is loaded."""

    def extend(self, learner: Learner) -> None:
        """Make what is kept by class or parameter as long as the learner's, after a finished stream got longer."""

    def check(self, learner: Learner, visits: Sequence[Visit]) -> None:
        """Refuse a stream that it cannot be trained on, before anything runs: the experiences to learn, in order."""

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Act before the first step of an experience (not repeated by a resume in its middle)."""

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Act after the last step of an experience and before it is evaluated: the last look at its data."""

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Return the batch to train on: stored tasks may follow its own, with weights. Only this rank's share."""
        return batch

    def loss_weight(self, learner: Learner, position: Position, *, runner: TaskRunner) -> float:
        """Return the factor of the mean loss, by which penalties are not multiplied; the same on every rank."""
        return 1.0

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return a scalar that is added to the mean loss, averaged over ranks with it; None for nothing."""
        return None

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        """Look at the gradients of loss and penalties, averaged over ranks, before any strategy changes them."""

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients to step with, by parameter name, averaged over ranks; a name left out is frozen."""
        return gradients

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Act after an optimizer step, on the parameters that it made."""

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the parameters for ONE task, chosen from its support set ``(S, *X)``, ``(S, N)`` or ``(S, *Y)``."""
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return outputs ``(B, Q, …)`` to be evaluated in place of the learner's own; None leaves them."""
        return None

    def responds(self, unit: Unit) -> bool:
        """Return whether it answers in the learner's place on streams of a unit: where it overrides ``respond``."""
        return overrides(self, "respond")

    def answered_by(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the number ``(B,)`` of the experience whose own parameters answer each task; None where none does."""
        return None

    def diagnose(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return measures ``(B,)`` for the report, by name; called in evaluation alone, with the domain's number."""
        return {}

    def training_measures(self, learner: Learner, step: Step, *, runner: TaskRunner) -> dict[str, Tensor | float]:
        """Return scalars to log with a training step, by name; logged as ``train/<strategy>/<name>``."""
        return {}

    def memory_bytes(self) -> int:
        """Return the bytes that the strategy carries from experience to experience."""
        registered = sum(t.nbytes for t in (*self.parameters(), *self.buffers()))
        return registered + nested_bytes(self.get_extra_state() if has_extra_state(self) else None)

    def most_bytes(self) -> int | None:
        """Return a bound of :meth:`memory_bytes` over the whole stream, as far as it can tell by now; None for none."""
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
        """Return whether any member does."""
        return any(member.needs_boundaries for member in self)

    def overrides(self, *hooks: str) -> bool:
        """Return whether any member steps in at one of these hooks."""
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
        """Begin in every member."""
        for member in self:
            member.begin(learner, visit, runner=runner)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """End in every member."""
        for member in self:
            member.end(learner, visit, runner=runner)

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        """Give each member what the one before returned."""
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
        """Tell every member of the step."""
        for member in self:
            member.stepped(learner, position, runner=runner)

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Give each member what the one before returned."""
        for member in self:
            params = member.route(learner, params, support_x, support_y)
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the outputs of the one member that answers for the learner."""
        answers = (member.respond(learner, params, batch, runner=runner) for member in self)
        return next((answer for answer in answers if answer is not None), None)

    def answered_by(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return what the one member says that has parameters for each experience."""
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
        """Return the sum over the members."""
        return sum(member.memory_bytes() for member in self)

    def bind(self, learner: Learner, runner: TaskRunner) -> TaskRunner:
        """Return a runner that routes every task as the members say."""
        route = partial(self.route, learner) if self.overrides("route") else None
        keeps_outputs = any(overrides(member, "penalty") and member.penalises_outputs for member in self)
        return runner.routed(route, self, keeps_outputs=keeps_outputs)


def _check_combination(strategies: Sequence[Strategy]) -> None:
    for kind in {type(s) for s in strategies}:
        if sum(type(s) is kind for s in strategies) > 1:
            raise ValueError(f"{kind.__name__} stands twice in --strategies: give it once")
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
    for hook, deed in (("project", "change the gradients"), ("respond", "answer in the learner's place")):
        doing = [s for s in strategies if overrides(s, hook)]
        if len(doing) > 1:
            raise ValueError(
                f"{type(doing[0]).__name__} and {type(doing[1]).__name__} cannot be combined: both {deed}; leave one "
                "out of --strategies"
            )


def overrides(strategy: Strategy, hook: str) -> bool:
    """Return whether a strategy steps in at a hook."""
    return getattr(type(strategy), hook) is not getattr(Strategy, hook)


def has_part_in_answers(strategy: Strategy) -> bool:
    """Return whether an answer depends on a strategy, and not only on what it did while the learner was trained."""
    return overrides(strategy, "route") or overrides(strategy, "respond")


def has_extra_state(module: nn.Module) -> bool:
    """Return whether a module keeps state beside parameters and buffers."""
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
