"""Synaptic intelligence: protect each parameter by how much its changes have lowered the loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from lifelong.utilities.ranges import check_number
from strategies.importance.quadratic import Quadratic
from strategies.snapshot import lengthened, to_device


class SI(Strategy):
    """Penalise changes of parameters that reduced the loss in earlier experiences (SI): ``c Σ_i Ω_i (θ_i − θ*_i)²``.

    ``θ*`` are the meta-parameters at the end of the last experience. In an experience
    ``ω_i = −Σ_t g_i,t (θ_i,t+1 − θ_i,t)`` is the decrease of the loss due to the changes of parameter ``i``, where
    ``g_t`` is the gradient of step ``t`` over all ranks, without that of this penalty. At the end of the experience
    ``Ω_i += max(ω_i, 0) / ((θ_i,end − θ_i,start)² + ξ)``.

    Args:
        strength: ``c``; the penalty has no factor ½.
        damping: ``ξ``, in units of a squared parameter. It bounds the importance of parameters that hardly changed.

    Raises:
        ValueError: when the strength is negative, or the damping not positive.

    Reference:
        Zenke, Poole & Ganguli, "Continual Learning Through Synaptic Intelligence", ICML 2017. Differences: ``ω`` is
        clamped at zero in each experience (the paper does not specify this; the authors' code clamps the sum ``Ω``).
        The values of ``c`` in van de Ven et al. 2022 are for the same penalty, but with an ``ω`` that includes the
        penalty's own gradient and is not clamped.

    Example:
        >>> SI(strength=10.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    penalises_outputs: ClassVar[bool] = False

    def __init__(self, *, strength: float = 1.0, damping: float = 0.1) -> None:
        super().__init__()
        check_number("SI's strength", strength, least=0)
        check_number("SI's damping", damping, above=0, hint=", such as 0.1")
        self.strength, self.damping = strength, damping
        self.quadratic = Quadratic()
        self.start: Params = {}
        """Parameters at the start of the experience."""
        self.path: Params = {}
        """``ω`` so far."""
        self._before: Params = {}
        self._gradient: Params = {}

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Store the parameters at the start of the experience."""
        if self.strength:
            self.start = _trained(learner)

    def observe(self, learner: Learner, gradients: Params, position: Position, *, runner: TaskRunner) -> None:
        """Store the parameters before the step and the gradient of the loss."""
        if not self.strength:
            return
        before = self._before = _trained(learner)
        pull = self.quadratic.gradient(before)
        seen = {name: gradients[name].detach().clone() for name in before if name in gradients}
        self._gradient = {name: g - self.strength * pull[name] if name in pull else g for name, g in seen.items()}

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Add to each parameter's ``ω`` the decrease of the loss by its step, to first order."""
        if not self.strength:
            return
        now, self.path = _trained(learner), to_device(self.path, learner.device)
        falls = {name: -g * (now[name] - self._before[name]) for name, g in self._gradient.items()}
        self.path = self.path | {name: self.path[name] + f if name in self.path else f for name, f in falls.items()}
        self._before, self._gradient = {}, {}

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Convert ``ω`` of this experience into importance, and anchor the penalty at the current parameters."""
        if not self.strength:
            return
        now, device = _trained(learner), learner.device
        start, path = to_device(self.start, device), to_device(self.path, device)
        importance = {}
        for name, theta in now.items():
            moved = (theta - start[name]).square()
            importance[name] = path.get(name, torch.zeros_like(theta)).clamp_min(0) / (moved + self.damping)
        self.quadratic.renew(importance, now)
        self.start, self.path = {}, {}

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """Return ``c`` times the quadratic penalty; None in the first experience."""
        return self.strength * self.quadratic.value(step.params) if self.quadratic else None

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes, with zero importance."""
        self.quadratic.extend(learner)
        self.start, self.path = lengthened(self.start, learner), lengthened(self.path, learner, fill=0)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the quadratic penalty and, within an experience, its starting parameters and ``ω`` so far."""
        return {"quadratic": self.quadratic.state(), "start": self.start, "path": self.path}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.quadratic.load(state["quadratic"])
        self.start, self.path = state["start"], state["path"]


def _trained(learner: Learner) -> Params:
    return {name: p.detach().clone() for name, p in learner.meta_parameters().items() if p.requires_grad}
