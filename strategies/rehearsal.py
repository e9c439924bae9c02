"""What strategies with a memory share: its settings, its life, its place in the checkpoint."""

from __future__ import annotations

from typing import Any

from lifelong.learner import Learner
from lifelong.strategy import Strategy, Visit
from strategies.example_memory import ExampleMemory
from strategies.memory import Budget, Memory, Policy
from strategies.task_memory import TaskMemory


class Rehearsal(Strategy):
    """A strategy with a memory; abstract: subclasses say what is done with it.

    Args:
        budget_examples: examples kept in all; None for no such bound.
        budget_bytes: bytes kept in all; None for no such bound.
        budget_per_class: examples kept of each class; None for no such bound. For labelled examples alone.
        policy: which examples are kept. Few-shot tasks need whole classes, so ``class_balanced``.
    """

    def __init__(
        self,
        *,
        budget_examples: int | None,
        budget_bytes: int | None,
        budget_per_class: int | None,
        policy: Policy,
    ) -> None:
        super().__init__()
        self.budget = Budget(budget_examples, budget_bytes, budget_per_class)
        self.policy = policy
        self.memory: Memory | None = None
        self.needs_boundaries = policy != "reservoir"  # type: ignore[misc]

    def attach(self, learner: Learner) -> None:
        """A memory for what the learner learns from: tasks or examples."""
        self.memory = ExampleMemory(self.budget, self.policy) if learner.unit == "examples" else TaskMemory(self.budget)
        if learner.unit == "tasks" and (self.policy != "class_balanced" or self.budget.per_class is not None):
            raise ValueError(
                f"{type(self).__name__} keeps whole classes for few-shot tasks: set its policy to class_balanced and "
                "bound it by budget_examples or budget_bytes"
            )

    @property
    def kept(self) -> Memory:
        """The memory of an attached strategy."""
        assert self.memory is not None, "Learner.use attaches its strategies"
        return self.memory

    def begin(self, learner: Learner, visit: Visit) -> None:
        """Refuse a budget that will be too small."""
        self.kept.begin(learner, visit)

    def end(self, learner: Learner, visit: Visit) -> None:
        """Keep a share of the experience."""
        self.kept.end(learner, visit)

    def memory_bytes(self) -> int:
        """Bytes of what is kept."""
        return 0 if self.memory is None else self.memory.nbytes

    def get_extra_state(self) -> Any:
        """What is kept, for the checkpoint."""
        return None if self.memory is None else self.memory.state()

    def set_extra_state(self, state: Any) -> None:
        """What was kept, from the checkpoint."""
        self.kept.load(state)
