"""The quadratic penalty of importance-based strategies, accumulated over experiences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from strategies.snapshot import lengthened, to_device


class Quadratic:
    """Store ``Σ_i I_i (θ_i − a_i)² + constant`` with importance ``I`` and anchor ``a``; falsy while it is empty.

    Its size is that of two copies of the parameters, for any number of experiences.

    Example:
        >>> quadratic = Quadratic()
        >>> quadratic.add({"w": torch.tensor([1.0])}, {"w": torch.tensor([0.0])})
        >>> quadratic.add({"w": torch.tensor([3.0])}, {"w": torch.tensor([4.0])})
        >>> quadratic.value({"w": torch.tensor([2.0])})  # 1 · 2² + 3 · 2²
        tensor(16.)
    """

    def __init__(self) -> None:
        self.importance: Params = {}
        self.anchor: Params = {}
        self.constant = 0.0

    def __bool__(self) -> bool:
        return bool(self.importance)

    def value(self, params: Params) -> Tensor:
        """Return its value at the parameters, as a differentiable scalar."""
        self._follow(params)
        terms: list[Tensor] = [
            _Term.apply(params[name], self.anchor[name], importance)  # type: ignore[no-untyped-call]
            for name, importance in self.importance.items()
        ]
        return torch.stack(terms).sum() + self.constant

    def gradient(self, params: Params) -> Params:
        """Return the gradient ``2 I (θ − a)``, empty while the quadratic is."""
        self._follow(params)
        return {
            name: 2 * importance * (params[name].detach() - self.anchor[name])
            for name, importance in self.importance.items()
        }

    def add(self, importance: Params, anchor: Params) -> None:
        """Add another quadratic; the sum is again a quadratic, around the weighted mean of both anchors."""
        if not self:
            self.importance, self.anchor = importance, anchor
            return
        self._follow(importance)
        old, self.importance, merged = self.importance, {}, {}
        # I1 (θ−a)² + I2 (θ−b)² = (I1+I2)(θ−m)² + I1 I2/(I1+I2) (a−b)² where m is the weighted mean of a and b.
        for name, new in importance.items():
            total = old[name] + new
            safe = total.clamp_min(torch.finfo(total.dtype).tiny)
            a, b = self.anchor[name], anchor[name]
            self.constant += float((old[name] * new / safe * (a - b).square()).sum())
            merged[name] = torch.where(total > 0, (old[name] * a + new * b) / safe, b)
            self.importance[name] = total
        self.anchor = merged

    def renew(self, importance: Params, anchor: Params, decay: float = 1.0) -> None:
        """Add the importance to ``decay`` times the old one, and replace the anchor."""
        self._follow(importance)
        old = self.importance
        self.importance = {name: new + decay * old[name] if old else new for name, new in importance.items()}
        self.anchor = anchor

    def extend(self, learner: Learner) -> None:
        """Add rows for new classes, with zero importance."""
        self.importance = lengthened(self.importance, learner, fill=0)
        self.anchor = lengthened(self.anchor, learner)

    def state(self) -> dict[str, Any]:
        """Return importance, anchor and constant, for a checkpoint and for counting bytes."""
        return {"importance": self.importance, "anchor": self.anchor, "constant": self.constant}

    def load(self, state: dict[str, Any]) -> None:
        """Restore importance, anchor and constant from a checkpoint."""
        self.importance, self.anchor, self.constant = state["importance"], state["anchor"], float(state["constant"])

    def _follow(self, params: Params) -> None:
        """Move to the device of the parameters, as a checkpoint is loaded on the CPU."""
        if self:
            device = next(iter(params.values())).device
            self.importance, self.anchor = to_device(self.importance, device), to_device(self.anchor, device)


class _Term(torch.autograd.Function):
    """Compute ``Σ I (θ − a)²`` of one tensor with its gradient ``2 I (θ − a)``, at half the cost of plain autograd.

    The penalty is bound by memory traffic, as it reads and writes tensors of the size of the parameters, and autograd
    would write twice as many.
    """

    @staticmethod
    def forward(ctx: Any, theta: Tensor, anchor: Tensor, importance: Tensor) -> Tensor:
        distance = theta - anchor
        ctx.pull = importance * distance
        return torch.dot(ctx.pull.flatten(), distance.flatten())

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        pull, ctx.pull = ctx.pull, None  # reused in place as the gradient, so only one backward pass is possible
        return pull.mul_(2 * gradient), None, None
