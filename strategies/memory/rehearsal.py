"""Base of strategies with a memory: its settings, updates and checkpoint, and the weight of rehearsed units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.data.stream_data import MOST_AT_ONCE
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.utilities.ranges import check_number
from strategies.memory.balanced import BalancedMemory
from strategies.memory.base import Memory
from strategies.memory.budget import Budget, Policy
from strategies.memory.example_memory import ExampleMemory
from strategies.memory.reservoir import Reservoir
from strategies.memory.task_memory import TaskMemory

Weighting = Literal["experience", "equal"] | float
"""Weight of rehearsed units: equal per experience, equal per unit, or the weight of their mean."""


class Rehearsal(Strategy):
    """Maintain a memory; abstract: subclasses define how it is used.

    Args:
        budget: size of the memory; ``per_class`` is for labelled examples only.
        policy: how examples are selected. Few-shot tasks need whole classes and therefore ``class_balanced``.
    """

    def __init__(self, *, budget: Budget, policy: Policy) -> None:
        super().__init__()
        self.budget, self.policy = budget, policy
        self._memory: Memory | None = None

    @property
    def memory(self) -> Memory:
        """Return the memory of an attached strategy."""
        assert self._memory is not None, "StreamModule attaches its strategies"
        return self._memory

    @property
    def examples(self) -> ExampleMemory:
        """Return the memory of an attached strategy for labelled examples."""
        memory = self.memory
        assert isinstance(memory, ExampleMemory)
        return memory

    @property
    def needs_boundaries(self) -> bool:
        """Return whether boundaries are needed: by every policy except ``reservoir``."""
        return self.policy != "reservoir"

    def attach(self, learner: Learner) -> None:
        """Create a memory for the learner's unit: tasks or examples."""
        if learner.unit == "examples" or "few-shot" not in self.streams:  # few-shot streams are refused later
            self._memory = make_example_memory(self.budget, self.policy)
            return
        if self.policy != "class_balanced" or self.budget.per_class is not None:
            raise ValueError(
                f"{type(self).__name__} keeps whole classes for few-shot tasks: set its policy to class_balanced and "
                "bound it by budget.examples or budget.bytes"
            )
        self._memory = TaskMemory(self.budget)

    def check(self, learner: Learner, visits: Sequence[Visit]) -> None:
        """Refuse a budget that is too small for the experiences."""
        self.memory.check(visits)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Begin an experience in the memory."""
        self.memory.begin(learner, visit, runner=runner)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store units of the experience in the memory."""
        self.memory.end(learner, visit, runner=runner)

    def draw(self, n_units: int, batch: Episode, position: Position, experience: int | None = None) -> Episode | None:
        """Return this rank's share of ``n_units`` drawn from memory, in the shape of a batch; None if this is empty."""
        return self.memory.draw(n_units, position, batch, experience) if position.rank < n_units else None

    def memory_bytes(self) -> int:
        """Return the bytes of the memory."""
        return 0 if self._memory is None else self._memory.nbytes

    def most_bytes(self) -> int | None:
        """Return the bytes of a full memory; None before the first example, or if it grows with the classes."""
        if self._memory is None or not (n_examples := len(self._memory)):
            return None
        per_example = self._memory.nbytes // n_examples
        capacity = self.budget.capacity(per_example)
        return None if capacity is None else self.memory_bytes() + (capacity - n_examples) * per_example

    def get_extra_state(self) -> Any:
        """Return the memory, for a checkpoint."""
        return None if self._memory is None else self._memory.state()

    def set_extra_state(self, state: Any) -> None:
        """Restore the memory from a checkpoint."""
        self.memory.load(state)


def make_example_memory(budget: Budget, policy: Policy) -> ExampleMemory:
    """Create the memory of labelled examples for a policy.

    Example:
        >>> type(make_example_memory(Budget(examples=10), "herding")).__name__
        'BalancedMemory'
    """
    return Reservoir(budget) if policy == "reservoir" else BalancedMemory(budget, policy)


def weight_of_rehearsed(weighting: Weighting, n_past: int, n_current: int, n_rehearsed: int) -> float:
    """Return the weight of each rehearsed unit, relative to weight 1 for each current unit.

    Example:
        >>> weight_of_rehearsed("experience", n_past=3, n_current=8, n_rehearsed=4)
        6.0
    """
    if weighting == "equal":
        return 1.0
    return (n_past if weighting == "experience" else weighting) * n_current / n_rehearsed


def check_rehearsal(name: str, setting: str, n_units: int | None, weighting: Weighting = "equal") -> None:
    """Refuse a number of rehearsed units below 1, and a negative weight.

    Args:
        name: name of the strategy.
        setting: name of the setting with the number of units.
        n_units: number of units drawn from memory per step.
        weighting: weighting of the units.

    Raises:
        ValueError: when either is out of range.
    """
    check_number(f"{name}'s {setting}", n_units, least=1, most=MOST_AT_ONCE, whole=True, hint=f"; or leave {name} out")
    if weighting not in ("experience", "equal"):
        check_number(f"{name}'s weighting", weighting, least=0, hint=", or experience or equal")
