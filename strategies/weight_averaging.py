"""Weight averaging: train as usual and predict with the running average of the weights."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.utilities.ranges import check_number
from strategies.snapshot import lengthened, state_of, to_device


class WeightAveraging(Strategy):
    """Predict with ``θ̄``, the running average of the weights: ``θ̄ ← θ̄ + max(1/n, 1 − γ)(θ − θ̄)`` after step ``n``.

    ``n`` counts the steps of the whole stream. ``θ̄`` is therefore the uniform average of all steps while
    ``1/n ≥ 1 − γ``, and afterwards an exponential moving average of about the last ``1 / (1 − γ)`` steps. Training and
    the learner's weights in the checkpoint are those of plain fine-tuning.

    Args:
        decay: ``γ``, from 0 (the newest weights) to 1 (the uniform average of all steps). None means 1.

    Raises:
        ValueError: when the decay is out of range.

    Reference:
        Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; Tarvainen & Valpola, "Mean
        teachers are better role models", NeurIPS 2017 (exponential, with this start); Izmailov et al., "Averaging
        Weights Leads to Wider Optima and Better Generalization", UAI 2018 (equal). Differences: every step is included,
        and running statistics of norm layers are averaged like weights instead of being estimated again.

    Example:
        >>> WeightAveraging(decay=0.99).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(self, *, decay: float | None = 0.999) -> None:
        super().__init__()
        check_number("WeightAveraging's decay", decay, least=0, most=1, hint=", such as 0.999, or null for the mean")
        self.decay = 1.0 if decay is None else decay
        self.average: Params = {}
        self.n_steps = 0
        self.has_stepped = False
        """Whether the optimizer has changed the weights since they were last averaged."""

    @property
    def needs_boundaries(self) -> bool:
        """Return False: it also works on streams without boundaries."""
        return False

    def observe(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> None:
        """Include the weights after the previous step in the average."""
        self._count(learner)
        self.has_stepped = True

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Include the weights after the last step in the average."""
        self._count(learner)

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the outputs of the averaged weights; None before there is an average."""
        if not self.average:
            return None
        self.average = to_device(self.average, batch.weight.device)
        return runner.outputs(learner, self.average, batch)

    def _count(self, learner: Learner) -> None:
        if not self.has_stepped:
            return
        self.has_stepped, self.n_steps = False, self.n_steps + 1
        now, rate = state_of(learner), max(1 / self.n_steps, 1 - self.decay)
        old = to_device(self.average, learner.device) or now
        self.average = {name: _between(old[name], tensor, rate) for name, tensor in now.items()}

    def extend(self, learner: Learner) -> None:
        """Start the average of new rows at their current values."""
        self.average = lengthened(self.average, learner)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the average, for the checkpoint."""
        return {"average": self.average, "n_steps": self.n_steps, "has_stepped": self.has_stepped}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the average from the checkpoint."""
        self.average, self.n_steps = state["average"], int(state["n_steps"])
        self.has_stepped = bool(state["has_stepped"])


def _between(old: Tensor, new: Tensor, rate: float) -> Tensor:
    # Integer counters have no mean. torch.lerp with rate 1 returns the new weights exactly.
    return torch.lerp(old, new, rate) if new.is_floating_point() else new.clone()
