"""GDumb: store examples of the stream, and train from scratch on them after each experience.

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

    ``θ = argmin_θ 1/M Σ_m ℓ(x_m, y_m)`` over the ``M`` stored examples. The memory is class-balanced. The stream's own
    training steps have no effect, so few of them are needed. Training uses stochastic gradient descent with momentum,
    in passes over the memory in random order; the learning rate falls from ``rate`` to ``last_rate`` along a cosine.
    Since it ignores the stream, its score is a baseline that other strategies should exceed. GDumb supports labelled
    examples only.

    Args:
        budget: size of the memory: ``examples`` or ``bytes`` in total, or examples ``per_class``.
        n_steps: optimizer steps after each experience.
        batch_size: examples per step, over all devices.
        rate: learning rate at the start.
        last_rate: learning rate at the end.
        momentum: momentum of the optimizer.
        weight_decay: weight decay of all parameters.
        clip: maximum norm of the gradient; larger gradients are scaled down to it.

    Raises:
        ValueError: when the budget is zero or too small, a setting is out of range, the learner computes something
            after an experience that retraining would make outdated, or training diverges.

    Reference:
        Prabhu, Torr & Dokania, "GDumb: A Simple Approach that Questions Our Progress in Continual Learning", ECCV 2020.
        Differences: one cosine schedule instead of warm restarts; a fixed number of steps instead of passes (128 in the
        paper); no CutMix; the same initial weights each time; the examples are selected at the end of an experience.

    Example:
        >>> GDumb(budget=Budget(examples=500)).memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = True  # the stream does not train shared parameters
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
        """Initial weights, at the start of the stream."""

    def attach(self, learner: Learner) -> None:
        """Create a memory; refuse a learner with state from the stream, which retraining would make outdated."""
        super().attach(learner)
        if type(learner).finish is not Learner.finish:
            raise ValueError(
                f"GDumb trains the network anew after {type(learner).__name__} has finished the experience with it: "
                "set --model Classifier, or leave GDumb out of --strategies"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the initial weights."""
        super().begin(learner, visit, runner=runner)
        self.first = self.first or snapshot(learner)

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return no gradients, as nothing is learnt from the stream directly."""
        return {}

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store examples of the experience, and train from scratch on the memory."""
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
        """Return the rows ``(n_steps, batch_size)`` of the memory for each step, in random passes over it."""
        size, total = len(self.memory), self.n_steps * self.batch_size
        experience, n_passes = visit.experience.index, -(-total // size)
        rngs = (generator(visit.seed, "rehearse", experience, number) for number in range(n_passes))
        places = np.concatenate([rng.permutation(size) for rng in rngs])
        return places[:total].reshape(self.n_steps, self.batch_size)

    # -- checkpoint -----------------------------------------------------------------------------------------------

    def memory_bytes(self) -> int:
        """Return the bytes of the examples and the initial weights."""
        return super().memory_bytes() + nested_bytes(self.first)

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes to the initial weights."""
        self.first = lengthened(self.first, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the examples and the initial weights, for the checkpoint."""
        return {"memory": super().get_extra_state(), "first": self.first}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the examples and the initial weights from the checkpoint."""
        super().set_extra_state(state["memory"])
        self.first = state["first"]
