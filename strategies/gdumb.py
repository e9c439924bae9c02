"""GDumb: learn nothing from the stream but which examples to keep, and learn these from scratch after each experience.

Shapes: ``M`` examples in memory.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.kinds import EXAMPLE_STREAMS, StreamKind
from lifelong.data.position import Position, Visit
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from lifelong.strategy import nested_bytes
from lifelong.utilities.progress_bar import show_progress
from lifelong.utilities.ranges import check_number
from strategies.memory.budget import Budget
from strategies.memory.rehearsal import Rehearsal
from strategies.reference_gradients import reference_gradients, unflatten
from strategies.snapshot import lengthened, snapshot, state_of, to_device


class GDumb(Rehearsal):
    """Retrain from the initial weights on the memory alone, after each experience (GDumb).

    ``θ = argmin_θ 1/M Σ_m ℓ(x_m, y_m)`` over the ``M`` stored examples. The memory is balanced over classes. The
    stream's own steps change nothing, so few of them are needed. Training is by stochastic gradient descent with
    momentum, in passes over the memory in random order; the rate falls from ``rate`` to ``last_rate`` along a cosine.
    What it reaches in spite of ignoring the stream is the bar for all others. Labelled examples alone: it is made to
    show what their streams demand, and few-shot tasks are not learnt by heart.

    Args:
        budget: how much is kept: ``examples`` or ``bytes`` in all, or examples ``per_class``.
        n_steps: optimizer steps after each experience.
        batch_size: examples in each of them, over all devices together.
        rate: learning rate at the start.
        last_rate: learning rate at the end.
        momentum: of the gradient.
        weight_decay: of all parameters.
        clip: longest gradient; longer ones are shortened to it.

    Raises:
        ValueError: when the budget keeps nothing or is too small, a setting is out of range, the learner has something
            to finish after an experience, which would be outdated, or the training diverges.

    Reference:
        Prabhu, Torr & Dokania, "GDumb: A Simple Approach that Questions Our Progress in Continual Learning", ECCV 2020.
        Differences: one cosine in place of warm restarts, a number of steps in place of one of passes (theirs is 128),
        no cutmix; the same first weights each time; the memory is drawn at the end of an experience.

    Example:
        >>> GDumb(budget=Budget(examples=500)).memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = True  # in that it stops the shared ones
    streams: ClassVar[frozenset[StreamKind]] = EXAMPLE_STREAMS

    def __init__(
        self,
        *,
        budget: Budget = Budget(examples=2000),
        n_steps: int = 4000,
        batch_size: int = 16,
        rate: float = 0.05,
        last_rate: float = 0.0005,
        momentum: float = 0.9,
        weight_decay: float = 1e-6,
        clip: float = 10.0,
    ) -> None:
        super().__init__(
            budget=budget,
            policy="class_balanced",
        )
        if self.budget.is_nothing:
            raise ValueError("GDumb learns its memory alone, and its budget is 0: raise it, or leave GDumb out")
        positive = {"n_steps": n_steps, "batch_size": batch_size, "rate": rate, "last_rate": last_rate, "clip": clip}
        for name, value in positive.items():
            check_number(f"GDumb's {name}", value, above=0, whole=name in ("n_steps", "batch_size"))
        check_number("GDumb's momentum", momentum, least=0, below=1)
        check_number("GDumb's weight_decay", weight_decay, least=0)
        self.n_steps, self.batch_size, self.clip = n_steps, batch_size, clip
        self.rate, self.last_rate, self.momentum, self.weight_decay = rate, last_rate, momentum, weight_decay
        self.first: Params = {}
        """The weights that the stream began with."""

    def attach(self, learner: Learner) -> None:
        """Make a memory; refuse a learner that has taken something from the stream before GDumb trains it anew."""
        super().attach(learner)
        if type(learner).finish is not Learner.finish:
            raise ValueError(
                f"GDumb trains the network anew after {type(learner).__name__} has finished the experience with it: "
                "set --model Classifier, or leave GDumb out of --strategies"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Note the first weights."""
        super().begin(learner, visit, runner=runner)
        self.first = self.first or snapshot(learner)

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return no gradients: nothing is learnt from the stream."""
        return {}

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Keep a share of the experience, and learn the memory from scratch."""
        super().end(learner, visit, runner=runner)
        first = to_device(self.first, learner.device)
        with torch.no_grad():
            for name, tensor in state_of(learner).items():
                tensor.copy_(first[name])
        self._learn_memory(learner, visit, runner)

    def _learn_memory(self, learner: Learner, visit: Visit, runner: TaskRunner) -> None:
        parameters = {name: p for name, p in learner.meta_parameters().items() if p.requires_grad}
        optimizer = torch.optim.SGD(
            parameters.values(), lr=self.rate, momentum=self.momentum, weight_decay=self.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_steps, self.last_rate)
        for rows in show_progress(list(self.plan(visit)), f"GDumb learns {len(self.memory)} examples"):
            own_rows = torch.from_numpy(rows[runner.rank :: runner.world])
            share = self.examples.episode(own_rows, learner.device) if len(own_rows) else None
            vector = reference_gradients(learner, [share], len(rows), list(parameters), runner)[0]
            for name, gradient in unflatten(vector, parameters, list(parameters)).items():
                parameters[name].grad = gradient
            torch.nn.utils.clip_grad_norm_(parameters.values(), self.clip)
            optimizer.step()
            schedule.step()
        optimizer.zero_grad()
        if not all(torch.isfinite(p).all() for p in parameters.values()):
            raise ValueError(f"GDumb's training on its memory diverged at the rate {self.rate}: lower its rate")

    def plan(self, visit: Visit) -> np.ndarray:
        """Return the rows ``(n_steps, batch_size)`` of the memory that each step learns: random passes over it."""
        size, total = len(self.memory), self.n_steps * self.batch_size
        experience, n_passes = visit.experience.index, -(-total // size)
        rngs = (generator(visit.seed, "rehearse", experience, number) for number in range(n_passes))
        places = np.concatenate([rng.permutation(size) for rng in rngs])
        return places[:total].reshape(self.n_steps, self.batch_size)

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def memory_bytes(self) -> int:
        """Count the bytes of the examples and of the first weights."""
        return super().memory_bytes() + nested_bytes(self.first)

    def extend(self, learner: Learner) -> None:
        """Give the first weights rows of new classes."""
        self.first = lengthened(self.first, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the examples and the first weights, for the checkpoint."""
        return {"memory": super().get_extra_state(), "first": self.first}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the same from the checkpoint."""
        super().set_extra_state(state["memory"])
        self.first = state["first"]
