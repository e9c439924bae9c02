"""DER and DER++: distil the outputs that stored examples had when they were stored.

Shapes: ``B`` examples of a batch, ``R`` drawn from memory, ``N`` ways, ``C`` classes of the stream.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.kinds import EXAMPLE_STREAMS, StreamKind
from lifelong.learners.base import Learner
from lifelong.strategy import Step
from lifelong.utilities.ranges import check_number
from strategies.memory.budget import Budget
from strategies.memory.rehearsal import Rehearsal, check_rehearsal


class DER(Rehearsal):
    """Replay stored examples with the outputs that they had then (DER), and with their labels too (DER++).

    DER adds ``α · mean_r ‖z_r − f(x_r)‖² / n_r`` to the loss; DER++ also adds ``β`` times the mean loss of stored
    examples. ``z_r`` are the ``n_r`` outputs for example ``r`` in the step that stored it, for its ways at that time.
    Classes that appear later do not contribute to its distance. Each mean is over a separate draw from a reservoir,
    starting with the second step of the stream. DER supports labelled examples only: the outputs of a few-shot task
    depend on its ways and support set, whereas rehearsed tasks are newly drawn from single examples.

    Args:
        alpha: ``α``, weight of the stored outputs.
        beta: ``β``, weight of the labels; above 0 the method is DER++.
        budget: size of the memory: ``examples``, or ``bytes`` in total, including the stored outputs.
        n_replay: examples per draw over all devices. Default: as many as current ones.

    Raises:
        ValueError: when a setting is out of range.

    Reference:
        Buzzega et al., "Dark Experience for General Continual Learning: a Strong, Simple Baseline", NeurIPS 2020.
        Differences: the distance is over the outputs for the ways at the time of storing, not over those for future
        classes too, and examples are drawn with replacement.

    Example:
        >>> DER(alpha=0.5, beta=0.5, budget=Budget(examples=200)).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    penalises_outputs: ClassVar[bool] = False
    streams: ClassVar[frozenset[StreamKind]] = EXAMPLE_STREAMS

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        beta: float = 0.0,
        budget: Budget = Budget(examples=2000),
        n_replay: int | None = None,
    ) -> None:
        super().__init__(budget=budget, policy="reservoir")
        check_rehearsal("DER", "n_replay", n_replay)
        for name, value in (("alpha", alpha), ("beta", beta)):
            check_number(f"DER's {name}", value, least=0)
        self.alpha, self.beta, self.n_replay = alpha, beta, n_replay

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return the terms over stored examples, then offer the step's examples and outputs to the memory."""
        terms = [
            term
            for term in (self._dark(learner, step, runner), self._labelled(learner, step, runner))
            if term is not None
        ]
        classes = step.batch.classes
        assert classes is not None
        logits = by_class(step.outputs[:, 0].detach(), classes, learner.n_classes)
        self.memory.update(learner, step.batch, step.position, {"logits": logits}, runner=runner)
        return torch.stack(terms).sum() if terms else None

    def extend(self, learner: Learner) -> None:
        """Extend the stored outputs by NaN for new classes."""
        extra = self.examples.rows.extra
        if "logits" in extra:
            n_new = learner.n_classes - extra["logits"].shape[1]
            extra["logits"] = nn.functional.pad(extra["logits"], (0, n_new), value=torch.nan)

    def _dark(self, learner: Learner, step: Step, runner: TaskRunner) -> Tensor | None:
        drawn = self._drawn(step, self.alpha, salt=0)
        if drawn is None:
            return None
        rows, batch, factor = drawn
        stored = self.examples.rows.extra["logits"][rows.to(step.losses.device)]
        return factor * distances(runner.outputs(learner, step.params, batch)[:, 0], batch, stored).sum()

    def _labelled(self, learner: Learner, step: Step, runner: TaskRunner) -> Tensor | None:
        drawn = self._drawn(step, self.beta, salt=1)
        if drawn is None:
            return None
        _, batch, factor = drawn
        return factor * runner.losses(learner, step.params, batch).sum()

    def _drawn(self, step: Step, strength: float, salt: int) -> tuple[Tensor, Episode, float] | None:
        """Draw rows from memory; return them, their examples and the factor from a sum to ``strength`` times a mean."""
        position, n_replay = step.position, self.n_replay or step.position.n_tasks
        if strength == 0 or len(self.memory) == 0 or position.rank >= n_replay:
            return None
        rows = self.examples.pick(n_replay, position, salt=salt)
        # Penalties are averaged over ranks, so each rank's share of the sum is multiplied by the number of ranks.
        return rows, self.examples.episode(rows, step.losses.device), strength * position.world / n_replay


def by_class(outputs: Tensor, classes: Tensor, n_classes: int) -> Tensor:
    """Scatter outputs ``(B, N)`` for ways ``(B, N)`` to all classes ``(B, C)``, with NaN for classes without a way.

    Example:
        >>> by_class(torch.tensor([[0.5, 0.7]]), torch.tensor([[2, -1]]), 3).tolist()
        [[nan, nan, 0.5]]
    """
    rows = outputs.new_full((len(outputs), n_classes + 1), torch.nan)  # the last column collects absent ways
    return rows.scatter(1, torch.where(classes < 0, n_classes, classes), outputs)[:, :-1].contiguous()


def distances(outputs: Tensor, batch: Episode, stored: Tensor) -> Tensor:
    """Compute the mean squared difference between each example's outputs and the stored ones, ``(R,)``.

    Args:
        outputs: ``(R, N)`` for the current ways.
        batch: the examples.
        stored: ``(R, C)`` outputs by class, NaN for classes without an output.
    """
    assert batch.classes is not None
    target = stored.gather(1, batch.classes.clamp_min(0))
    is_stored = (batch.classes >= 0) & ~target.isnan()
    squares = torch.where(is_stored, outputs - target, 0).square()
    return squares.sum(1) / is_stored.sum(1).clamp_min(1)
