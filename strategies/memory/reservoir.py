"""A reservoir: every example of the stream so far is stored with the same probability.

Shapes: ``M`` stored examples, ``B`` examples of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from strategies.memory.rows import LABEL_BYTES


class Reservoir(ExampleMemory):
    """Store a uniform sample of the training examples, without boundaries between experiences.

    Args:
        budget: size of the memory.

    Raises:
        ValueError: when the budget is per class, or too small for a single example.

    Reference:
        Vitter, "Random Sampling with a Reservoir", 1985 (algorithm R).
    """

    def __init__(self, budget: Budget) -> None:
        if budget.per_class is not None:
            raise ValueError("a reservoir does not look at classes: bound it by budget.examples or budget.bytes")
        super().__init__(budget)
        self.n_seen = 0
        """Number of examples of the stream so far, over all processes."""

    def check(self, visits: Sequence[Visit]) -> None:
        """Refuse a budget too small for one example; additional tensors, such as outputs, are not known yet."""
        self._check_room(visits[0].experience.pools[0].x[0].nbytes + LABEL_BYTES, 1, "the stream")

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store nothing, as examples are selected in every step."""

    def update(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
        """Replace a random stored example by example ``n`` of the stream with probability ``M / n``.

        Args:
            learner: not used.
            batch: this rank's examples in this step; only the stream's own ones, which come first, are stored.
            position: position in the stream.
            extra: additional tensors ``(B, …)`` to store with each example, by name.
            runner: gathers the examples of all ranks.
        """
        if self.budget.is_nothing:
            return
        new = self._own_rows(batch, position.n_own, extra or {}, runner)
        example_bytes = sum(column[0].nbytes for column in new.values())
        self._check_room(example_bytes, 1, "the stream")
        capacity = self.budget.capacity(example_bytes)
        assert capacity is not None
        self.rows.to(new["x"].device)
        n_new, n_free = len(new["x"]), min(max(capacity - len(self), 0), len(new["x"]))
        if n_free:
            self.rows.append({name: column[:n_free] for name, column in new.items()})
        # One uniform number per further example; a later example may replace an earlier one of the same batch.
        counts = self.n_seen + 1 + np.arange(n_free, n_new)
        rng = generator(position.seed, "memory", self.current, self.n_seen)
        places = (rng.random(len(counts)) * counts).astype(np.int64)
        winners = {int(place): n_free + i for i, place in enumerate(places) if place < capacity}
        if winners:
            self.rows.replace(list(winners), {name: column[list(winners.values())] for name, column in new.items()})
        self.n_seen += n_new

    @property
    def experiences(self) -> list[int]:
        """Return the past experiences that have stored examples, without the current one."""
        return [number for number in self.rows.of_experience() if number != self.current]

    @property
    def n_past(self) -> int:
        """Return the number of experiences that have begun before the current one.

        A stream without boundaries counts as one past experience as soon as the memory has examples.
        """
        return len(self._ways) - self._has_boundaries if len(self) else 0

    def state(self) -> dict[str, Any]:
        """Return all that is stored, for a checkpoint."""
        return super().state() | {"n_seen": self.n_seen}

    def load(self, state: dict[str, Any]) -> None:
        """Restore all that is stored from a checkpoint."""
        super().load(state)
        self.n_seen = state["n_seen"]

    def _own_rows(
        self, batch: Episode, n_own: int, extra: Mapping[str, Tensor], runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the columns of the stream's own examples of all ranks."""
        label = batch.query_classes[:, 0]
        share = {"x": self._as_stored(batch.query_x[:, 0]), "label": label, **extra}
        columns = {name: runner.gather(column[:n_own].detach()) for name, column in share.items()}
        columns["label"] = columns["label"].int().cpu()
        return columns | {"experience": torch.full_like(columns["label"], self.current)}

    def _as_stored(self, x: Tensor) -> Tensor:
        return (x * 255).round().to(torch.uint8) if self._dtype == torch.uint8 else x.to(self._dtype)
