"""The strategy contract: the places at which a plug-in may step in against forgetting, all neutral by default.

Shapes: ``B`` tasks, ``S`` support examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.batch import Episode
from lifelong.stream import Experience
from lifelong.streaming import EVERY_STREAM, StreamKind

if TYPE_CHECKING:
    from lifelong.learner import Learner

Params = dict[str, Tensor]
"""The learner's meta-parameters by name, as pure functions take them."""


@dataclass(frozen=True)
class Visit:
    """One experience as a strategy meets it when it begins and when it ends.

    A stream without boundaries is met as one experience of index 0 that begins with the stream and ends with it; its
    pools are those at hand: of the first domain when it begins, and of the last when it ends.

    Args:
        experience: with its training pools; after ``end`` they are gone unless the strategy kept something.
        n_experiences: length of the stream.
        seed: of the run.
        batches: ``batches(purpose, n_tasks)`` yields this rank's share of so many fresh tasks of the experience, each
            batch with the global indices of its tasks.
        sum_over_ranks: adds a tensor up over all processes.
        ways: ``(N,)`` numbers of the classes that a labelled example of this experience is told apart from once it is
            learnt; None for few-shot tasks, which bring their own.
        has_boundaries: False where the experience is a whole stream without boundaries.
        n_steps: optimizer steps of the experience.
    """

    experience: Experience
    n_experiences: int
    seed: int
    batches: Callable[[str, int], Iterator[tuple[Sequence[int], Episode]]]
    sum_over_ranks: Callable[[Tensor], Tensor]
    ways: np.ndarray | None = None
    has_boundaries: bool = True
    n_steps: int = 0


@dataclass(frozen=True)
class Position:
    """Where in the stream a training step stands: all that a counter-based random number needs.

    Args:
        experience: index of the experience; 0 all along a stream without boundaries.
        step: index of the step inside the experience.
        seed: of the run.
        n_tasks: tasks of the batch over all processes, before any rehearsal.
        rank: this process.
        world: number of processes.
    """

    experience: int
    step: int = 0
    seed: int = 0
    n_tasks: int = 1
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Step:
    """What a training step produced, for penalties.

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


class Strategy(nn.Module):
    """A plug-in against catastrophic forgetting; override what it needs, leave the rest neutral.

    A strategy receives state and returns results; it never assigns onto the trainer, the loader or the loss. What it
    remembers lives in parameters, buffers or ``get_extra_state`` and so travels in the checkpoint.

    Example:
        >>> class Decay(Strategy):
        ...     def penalty(self, learner, step):
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
    needs_boundaries: ClassVar[bool] = True
    """Works at the end of experiences, so does nothing on a stream that has no boundaries."""

    def attach(self, learner: Learner) -> None:
        """Once, before training and before a checkpoint is loaded: size parameters after the learner."""

    def begin(self, learner: Learner, visit: Visit) -> None:
        """Before the first step of an experience (not repeated by a resume in its middle)."""

    def end(self, learner: Learner, visit: Visit) -> None:
        """After the last step of an experience and before it is evaluated: the last look at its data."""

    def rehearse(self, learner: Learner, batch: Episode, position: Position) -> Episode:
        """The batch to train on: may add stored tasks after its own, with weights. Only this rank's share."""
        return batch

    def penalty(self, learner: Learner, step: Step) -> Tensor | None:
        """A scalar added to the mean loss, averaged over ranks with it; None for nothing."""
        return None

    def observe(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> None:
        """The gradients of loss and penalties, averaged over ranks, before any strategy changes them: look only."""

    def project(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> dict[str, Tensor]:
        """The gradients to step with, by parameter name, averaged over ranks; a name left out is frozen."""
        return gradients

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """The parameters for ONE task, chosen from its support set ``(S, *X)``, ``(S, N)`` or ``(S, *Y)`` alone."""
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode) -> Tensor | None:
        """Outputs ``(B, Q, …)`` to be judged by, in place of the learner's own; None leaves them. Never in training."""
        return None

    def diagnose(self, learner: Learner, params: Params, batch: Episode, domain: int) -> dict[str, Tensor]:
        """Measures ``(B,)`` for the report, by name; the only hook that is told the domain, and only in evaluation."""
        return {}

    def memory_bytes(self) -> int:
        """Bytes that the strategy carries from experience to experience."""
        own = sum(t.nbytes for t in (*self.parameters(), *self.buffers()))
        return own + nested_bytes(self.get_extra_state() if has_extra_state(self) else None)


@final
class Chain(Strategy):
    """Several strategies as one; the empty chain is plain fine-tuning.

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
        """Class names, in order."""
        return [type(member).__name__ for member in self]

    def attach(self, learner: Learner) -> None:
        """Attach every member."""
        for member in self:
            member.attach(learner)

    def begin(self, learner: Learner, visit: Visit) -> None:
        """Begin in every member."""
        for member in self:
            member.begin(learner, visit)

    def end(self, learner: Learner, visit: Visit) -> None:
        """End in every member."""
        for member in self:
            member.end(learner, visit)

    def rehearse(self, learner: Learner, batch: Episode, position: Position) -> Episode:
        """Each member receives what the one before returned."""
        for member in self:
            batch = member.rehearse(learner, batch, position)
        return batch

    def penalty(self, learner: Learner, step: Step) -> Tensor | None:
        """The sum of the members' penalties."""
        penalties = [p for member in self if (p := member.penalty(learner, step)) is not None]
        return torch.stack(penalties).sum() if penalties else None

    def observe(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> None:
        """Every member sees the same gradients."""
        for member in self:
            member.observe(learner, gradients, position)

    def project(self, learner: Learner, gradients: dict[str, Tensor], position: Position) -> dict[str, Tensor]:
        """What the one member that changes gradients makes of them."""
        for member in self:
            gradients = member.project(learner, gradients, position)
        return gradients

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Each member receives what the one before returned."""
        for member in self:
            params = member.route(learner, params, support_x, support_y)
        return params

    def respond(self, learner: Learner, params: Params, batch: Episode) -> Tensor | None:
        """What the one member that answers for the learner says."""
        answers = (member.respond(learner, params, batch) for member in self)
        return next((answer for answer in answers if answer is not None), None)

    def diagnose(self, learner: Learner, params: Params, batch: Episode, domain: int) -> dict[str, Tensor]:
        """All members' measures, prefixed with their class names."""
        return {
            f"{type(member).__name__}/{name}": values
            for member in self
            for name, values in member.diagnose(learner, params, batch, domain).items()
        }

    def memory_bytes(self) -> int:
        """The sum over the members."""
        return sum(member.memory_bytes() for member in self)


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
    """Whether a strategy steps in at a hook."""
    return getattr(type(strategy), hook) is not getattr(Strategy, hook)


def has_extra_state(module: nn.Module) -> bool:
    """Whether a module keeps state beside parameters and buffers."""
    return type(module).get_extra_state is not nn.Module.get_extra_state


def nested_bytes(value: Any) -> int:
    """Bytes of all tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(nested_bytes(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(nested_bytes(v) for v in value)
    return 0
