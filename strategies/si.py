"""Synaptic intelligence: parameters are held by how much their way has lowered the loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.strategy import Step, Strategy
from strategies.importance.quadratic import Quadratic
from strategies.snapshot import on


class SI(Strategy):
    """SI: ``c Σ_i Ω_i (θ_i − θ*_i)²``, with ``θ*`` the meta-parameters at the end of the last experience.

    In an experience ``ω_i = −Σ_t g_i,t (θ_i,t+1 − θ_i,t)`` is the fall of the loss that the steps of one parameter
    account for, ``g_t`` being the gradient of step ``t`` over all ranks without that of this penalty. At its end
    ``Ω_i += max(ω_i, 0) / ((θ_i,end − θ_i,start)² + ξ)``.

    Args:
        strength: ``c``; there is no ½ in the penalty.
        damping: ``ξ``, in the unit of a squared parameter: bounds the importance of parameters that hardly moved.

    Raises:
        ValueError: when the strength is negative, or the damping not positive.

    Reference:
        Zenke, Poole & Ganguli, "Continual Learning Through Synaptic Intelligence", ICML 2017. Differences: ``ω`` is cut
        at zero in each experience (the paper leaves that open, and the authors' code cuts the sum ``Ω``). The ``c`` of
        van de Ven et al. 2022 belong to the same penalty, but to an ``ω`` with the penalty's own gradient in it and
        without the cut.

    Example:
        >>> SI(strength=10.0).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True
    penalises_outputs: ClassVar[bool] = False

    def __init__(self, *, strength: float = 1.0, damping: float = 0.1) -> None:
        super().__init__()
        if strength < 0:
            raise ValueError(f"SI's strength is {strength}: it must not be negative")
        if damping <= 0:
            raise ValueError(f"SI's damping is {damping}: it must be above 0, such as 0.1")
        self.strength, self.damping = strength, damping
        self.quadratic = Quadratic()
        self.start: Params = {}
        self.before: Params = {}
        self.gradient: Params = {}
        self.path: Params = {}

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Note where the way of this experience starts."""
        if self.strength:
            self.start = _trained(learner)

    def observe(self, learner: Learner, gradients: Params, position: Position, *, runner: TaskRunner) -> None:
        """Account for the step before, now that it is taken, and note the gradient of the one to come."""
        if not self.strength:
            return
        here = _trained(learner)
        self._account(learner, here)
        own = self.quadratic.gradient(here)
        seen = {name: gradients[name].detach().clone() for name in here if name in gradients}
        self.gradient = {name: g - self.strength * own[name] if name in own else g for name, g in seen.items()}
        self.before = here

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Turn the way of this experience into importance, and hold the parameters where they are now."""
        if not self.strength:
            return
        here = _trained(learner)
        self._account(learner, here)
        importance = {}
        for name, now in here.items():
            moved = (now - self.start[name]).square()
            importance[name] = self.path.get(name, torch.zeros_like(now)).clamp_min(0) / (moved + self.damping)
        self.quadratic.renew(importance, here)
        self.start, self.before, self.gradient, self.path = {}, {}, {}, {}

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        """``c`` times the quadratic; nothing before the second experience."""
        return self.strength * self.quadratic.value(step.params) if self.quadratic else None

    def get_extra_state(self) -> dict[str, Any]:
        """The quadratic, and in the middle of an experience the way so far, for the checkpoint."""
        way = {"start": self.start, "before": self.before, "gradient": self.gradient, "path": self.path}
        return {"quadratic": self.quadratic.state()} | way

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """All of it, from the checkpoint."""
        self.quadratic.load(state["quadratic"])
        self.start, self.before, self.gradient, self.path = (
            state[name] for name in ("start", "before", "gradient", "path")
        )

    def _account(self, learner: Learner, here: Params) -> None:
        """Give each parameter its share in the fall of the loss, to first order, since the gradient was seen."""
        device = learner.device
        self.start, self.path = on(device, self.start), on(device, self.path)
        before, gradient = on(device, self.before), on(device, self.gradient)
        falls = {name: -g * (here[name] - before[name]) for name, g in gradient.items()}
        self.path = self.path | {name: self.path[name] + f if name in self.path else f for name, f in falls.items()}


def _trained(learner: Learner) -> Params:
    return {name: p.detach().clone() for name, p in learner.meta_parameters().items() if p.requires_grad}
