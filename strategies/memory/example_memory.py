"""Base of memories of labelled examples, which differ in the examples that they store.

Shapes: ``M`` stored examples, ``B`` examples of a batch, ``E`` experiences, ``N`` ways.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from strategies.memory.base import Memory
from strategies.memory.budget import Budget
from strategies.memory.drawing import as_batch, competing_classes, draw_rows
from strategies.memory.rows import Rows


class ExampleMemory(Memory):
    """Store labelled examples with their class and experience; abstract: subclasses select the examples.

    For a drawn example the same classes compete in the softmax as in an evaluation at this point: in a
    class-incremental stream all seen classes, in a task-incremental stream those of its own experience.

    Args:
        budget: size of the memory.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget, self.rows = budget, Rows()
        self._dtype = torch.float32
        self._ways: list[Tensor] = []
        self._has_boundaries = True
        self._competing: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the ways of the experience."""
        assert visit.ways is not None
        self._check_types(visit.experience.pools)
        self._has_boundaries, self._competing = visit.has_boundaries, None
        self._ways.append(torch.from_numpy(visit.ways))

    @property
    def current(self) -> int:
        """Return the index of the current experience."""
        return len(self._ways) - 1

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, n_units: int, position: Position, like: Episode, experience: int | None = None) -> Episode:
        """Return this rank's share of examples drawn with replacement, depending on the seed and the step only."""
        return self.episode(self.pick(n_units, position, experience=experience), like.weight.device)

    def pick(self, n_units: int, position: Position, *, experience: int | None = None, salt: int = 0) -> Tensor:
        """Return this rank's share of ``n_units`` rows; ``salt``, below 16, selects an independent draw."""
        if experience is None:
            return draw_rows(len(self), n_units, position, salt=salt)
        rows = self.rows.of_experience()[experience]
        return rows[draw_rows(len(rows), n_units, position, group=experience + 1, salt=salt)]

    def episode(self, rows: Tensor, device: torch.device) -> Episode:
        """Return the examples at rows ``(B,)``, a tensor on the CPU, as a batch of the stream."""
        self.rows.to(device)
        classes = self.competing()[self.rows.experience[rows].long()]
        return as_batch(self.rows.x[rows.to(device)], self.rows.label[rows], classes)

    def competing(self) -> Tensor:
        """Return for each experience the classes that now compete for its examples, ``(E, N)``, padded with -1."""
        if self._competing is None:
            self._competing = competing_classes(self._ways)
        return self._competing

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Return the bytes of the examples, their classes and experiences, and additional tensors such as outputs."""
        return self.rows.nbytes

    def state(self) -> dict[str, Any]:
        """Return all that is stored, for a checkpoint."""
        rows = {name: column.clone() for name, column in self.rows.columns().items()}
        stream = {"ways": list(self._ways), "dtype": str(self._dtype), "has_boundaries": self._has_boundaries}
        return {"rows": rows, **stream}

    def load(self, state: dict[str, Any]) -> None:
        """Restore all that is stored from a checkpoint."""
        self.rows.put(state["rows"])
        self._ways, self._competing = [ways.cpu() for ways in state["ways"]], None
        self._dtype = getattr(torch, state["dtype"].removeprefix("torch."))
        self._has_boundaries = state["has_boundaries"]

    # -- what is refused ------------------------------------------------------------------------------------------

    def _check_room(self, example_bytes: int, needed: int, name: str) -> None:
        capacity = self.budget.capacity(example_bytes)
        if self.budget.is_nothing or capacity is None or capacity >= needed:
            return
        reason = f"and with {name} there are {needed} classes to keep" if needed > 1 else "so nothing can be kept"
        raise ValueError(
            f"the memory's budget is {capacity} examples (of {example_bytes} bytes), {reason}: raise it to at least "
            f"{needed} ({needed * example_bytes} bytes)" + ", or choose the policy reservoir" * (needed > 1)
        )

    def _check_types(self, pools: tuple[Pool, ...]) -> None:
        if not self._ways:
            self._dtype = pools[0].x.dtype
        for pool in pools:
            if pool.x.dtype != self._dtype:
                raise ValueError(
                    f"{pool.name} has inputs of {pool.x.dtype}, but those before it are {self._dtype}, and the memory "
                    "keeps them as they are: give all sources one type (uint8 is scaled to 0 … 1)"
                )
