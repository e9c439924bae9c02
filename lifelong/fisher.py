"""The diagonal Fisher information of the loss that a learner trains, task by task.

Shapes: ``B`` tasks, ``n`` examples that a task's loss is of (its queries, unless the learner says otherwise).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from lifelong.batch import Episode, Task
from lifelong.learner import Learner
from lifelong.strategy import Params

Output = Callable[[Params], Tensor]
"""The outputs that one task's loss is a likelihood of, as a function of the trained parameters."""
Labels = Literal["exact", "sampled", "empirical"]


def fisher_diagonal(learner: Learner, batches: Iterable[tuple[Episode, Tensor]], labels: Labels) -> Params:
    """Sum over tasks of the squared gradient of the loss that each task is trained by, through its adaptation.

    ``F = Σ_task E_y [(∇θ L(θ; y))²]`` where ``L`` is the objective's loss of the learner's ``likelihood_outputs``, by
    default the mean over the task's queries; it does not depend on how tasks are batched.

    Args:
        learner: whose meta-parameters (those that are trained) the gradient is for.
        batches: episodes with uniform random numbers ``(B, n, …)`` of the shape of the ``likelihood_targets``.
        labels: how the expectation over ``y`` is taken: ``exact`` over the model's own predictive distribution,
            ``sampled`` one draw per example from it, ``empirical`` the data's labels (not a Fisher; for comparison).

    Reference:
        van de Ven, "On the Computation of the Fisher Information in Continual Learning", 2025 (arXiv 2502.11756).
    """
    params = learner.meta_parameters()
    trained = {name: p.detach() for name, p in params.items() if p.requires_grad}
    fixed = {name: p.detach() for name, p in params.items() if not p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in trained.items()}

    def squared(task: Task, uniform: Tensor) -> Params:
        def output(theta: Params) -> Tensor:
            return learner.likelihood_outputs({**theta, **fixed}, task)

        if labels == "exact":
            return _expected(learner, output, trained)
        target = learner.likelihood_targets(task) if labels == "empirical" else None
        return _single(learner, output, trained, target, uniform)

    was_training = learner.network.training
    learner.network.eval()
    with torch.no_grad():
        for batch, uniform in batches:
            per_task = learner.over_tasks(squared, batch, uniform)
            total = {name: t + per_task[name].sum(0) for name, t in total.items()}
    learner.network.train(was_training)
    return total


def _single(learner: Learner, output: Output, trained: Params, target: Tensor | None, uniform: Tensor) -> Params:
    def loss(theta: Params) -> Tensor:
        out = output(theta)
        drawn = learner.objective.sample(out.detach(), uniform.to(out.dtype)) if target is None else target
        return learner.objective.loss(out, drawn)

    return {name: g.square() for name, g in torch.func.grad(loss)(trained).items()}


def _expected(learner: Learner, output: Output, trained: Params) -> Params:
    vjp: Any = torch.func.vjp(output, trained)
    out, pull_back = vjp
    directions = learner.objective.score_directions(out.detach())
    n = out.shape[0]
    # One cotangent per direction and example: the examples' labels are independent, so their cross terms vanish.
    eye = torch.eye(n, dtype=out.dtype, device=out.device)
    eye = eye.reshape(1, n, n, *[1] * (out.dim() - 1))
    cotangents = (directions[:, None] * eye).flatten(0, 1)
    (jacobian,) = torch.func.vmap(pull_back)(cotangents)
    return {name: j.square().sum(0) for name, j in jacobian.items()}
