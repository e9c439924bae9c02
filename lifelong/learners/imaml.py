"""MAML with implicit gradients: the meta-gradient depends only on the solution of the inner loop, not on its path.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.data.episode import Task
from lifelong.learners.gradient_learner import GradientLearner, follow
from lifelong.learners.objective import TaskKind
from lifelong.utilities.ranges import check_number


class IMAML(GradientLearner):
    """Learn by iMAML, MAML with implicit gradients: ``φ = argmin L_support(φ) + λ/2 ‖φ − θ‖²``.

    ``min_θ Σ_task L_query(φ)``. The meta-gradient ``v`` of a task solves ``((1 + δ) I + H/λ) v = ∇ L_query(φ)`` with
    ``H`` the Hessian of ``L_support`` at ``φ``. It is computed by ``n_cg_steps`` steps of conjugate gradients, each of
    which takes one Hessian-vector product. It is exact if the inner loop has converged. Memory does not grow with
    ``n_inner_steps``. Only the network's parameters receive a gradient. The derivative of the outputs is the
    first-order one (``∂φ/∂θ = I``).

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: learning rate of the inner steps. They diverge above ``2 / (λ + largest curvature)``.
        regularisation: ``λ``, the weight of the penalty that keeps ``φ`` close to ``θ``.
        n_cg_steps: number of conjugate gradient steps. 0 gives the first-order gradient ``∇ L_query(φ)``.
        damping: ``δ``, for curvature that is negative or ill-conditioned.

    Raises:
        ValueError: when the network keeps running statistics, its number of outputs differs from the number of
            ways, ``regularisation`` is not positive, or ``n_cg_steps`` or ``damping`` is negative.

    Reference:
        Rajeswaran, Finn, Kakade & Levine, "Meta-Learning with Implicit Gradients", NeurIPS 2019. Differences: ``λ``
        is fixed; conjugate gradients start at ``∇ L_query(φ)`` and stop when they meet negative curvature; the
        authors' code solves with ``δ = 1`` and ``λ + 10`` instead of ``λ``.

    Example:
        >>> learner = IMAML(nn.Linear(2, 2), n_inner_steps=10, regularisation=1.0)
        >>> state = learner.adapt(learner.meta_parameters(), torch.eye(2), torch.eye(2))
        >>> learner.predict({}, state, torch.eye(2)).shape
        torch.Size([2, 2])
    """

    recomputes_steps: ClassVar[bool] = False
    """The inner loop keeps no graph."""

    def __init__(
        self,
        network: nn.Module,
        *,
        task: TaskKind = "classification",
        n_inner_steps: int = 16,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        regularisation: float = 2.0,
        n_cg_steps: int = 5,
        damping: float = 0.0,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            inner_rate=inner_rate,
            first_order=True,
        )
        check_number("--model.regularisation", regularisation, above=0, hint=", as the gradient divides by it")
        check_number("--model.n_cg_steps", n_cg_steps, least=0, whole=True)
        check_number("--model.damping", damping, least=0)
        self.regularisation, self.n_cg_steps, self.damping = regularisation, n_cg_steps, damping

    def inner_loss(self, params: Params, support_x: Tensor, support_y: Tensor) -> Callable[[Params], Tensor]:
        """Return ``L_support(φ) + λ/2 ‖φ − θ‖²``."""
        support_loss, start = super().inner_loss(params, support_x, support_y), self.moving(params)

        def loss(moved: Params) -> Tensor:
            away = {name: p - start[name] for name, p in moved.items()}
            return support_loss(moved) + self.regularisation / 2 * _product(away, away)

        return loss

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return ``φ``, as ``θ + stop(φ − θ)``."""
        return follow(params, self.settle(params, support_x, support_y))

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return ``L_query(φ)``, whose gradient is ``v``, and the outputs."""
        state = self.settle(params, task.support_x, task.support_y)
        output = self.predict(params, follow(params, state), task.query_x)
        gradient = self.implicit_gradient(state, task)
        away = {name: params[name] - params[name].detach() for name in gradient}
        return self.objective.loss(output, task.query_y).detach() + _product(gradient, away), output

    def implicit_gradient(self, state: Params, task: Task) -> Params:
        """Return ``v`` of one task whose inner loop ended at the detached ``state``."""
        # Like the inner loop, this runs in the parameters' own precision.
        with torch.autocast(task.support_x.device.type, enabled=False):
            query_loss = super().inner_loss(state, task.query_x, task.query_y)
            support_loss = super().inner_loss(state, task.support_x, task.support_y)
            vjp: Any = torch.func.vjp(torch.func.grad(support_loss), state)
            hessian = vjp[1]  # vᵀH = Hv, as a Hessian is symmetric

            def system(v: Params) -> Params:
                (curved,) = hessian(v)
                return {name: (1 + self.damping) * v[name] + h / self.regularisation for name, h in curved.items()}

            return conjugate_gradients(system, torch.func.grad(query_loss)(state), self.n_cg_steps)


def conjugate_gradients(system: Callable[[Params], Params], target: Params, n_steps: int) -> Params:
    """Solve ``A v = target`` for a symmetric ``A`` in a fixed number of steps, starting at ``target``.

    The iteration stops changing the solution when ``A`` is not positive along a direction or the solution is reached.
    It works under ``vmap``.

    Args:
        system: ``v ↦ A v``.
        target: the right-hand side.
        n_steps: number of steps. Each takes one product with ``A``, in addition to an initial one.

    Reference:
        Hestenes & Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952.

    Example:
        >>> diagonal, target = torch.tensor([1.0, 4.0]), {"w": torch.tensor([1.0, 1.0])}
        >>> conjugate_gradients(lambda v: {"w": diagonal * v["w"]}, target, n_steps=2)["w"]
        tensor([1.0000, 0.2500])
    """
    solution = target
    residual = direction = _combine(target, -1, system(target))
    for _ in range(n_steps):
        image = system(direction)
        length, curvature = _product(residual, residual), _product(direction, image)
        # vmap allows no branches that depend on data, so a direction of zeros ends the iteration of a task.
        goes_on = (curvature > torch.finfo(curvature.dtype).tiny) & (length > 0)
        step = torch.where(goes_on, length / torch.where(goes_on, curvature, 1), 0)
        solution = _combine(solution, step, direction)
        residual = _combine(residual, -step, image)
        growth = _product(residual, residual) / torch.where(goes_on, length, 1)
        direction = {n: torch.where(goes_on, p, 0) for n, p in _combine(residual, growth, direction).items()}
    return solution


def _combine(a: Params, factor: Tensor | float, b: Params) -> Params:
    return {name: value + factor * b[name] for name, value in a.items()}


def _product(a: Params, b: Params) -> Tensor:
    return torch.stack([(value * b[name]).sum() for name, value in a.items()]).sum()
