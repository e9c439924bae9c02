"""The diagonal Fisher information of a learner's training loss, computed per task.

Shapes: ``B`` tasks, ``n`` examples in a task's loss (its queries, unless the learner defines others).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.learners.base import Learner
from strategies.importance.sensitivity import sensitivity

Labels = Literal["exact", "sampled", "empirical"]


def fisher_diagonal(
    learner: Learner, batches: Iterable[tuple[Episode, Tensor]], labels: Labels, runner: TaskRunner
) -> Params:
    """Sum over tasks the squared gradient of each task's training loss, through its adaptation.

    ``F = Σ_task E_y [(∇θ L(θ; y))²]`` where ``L`` is the objective's loss of the learner's ``likelihood_outputs``, by
    default the mean over the task's queries. The result does not depend on how tasks are batched.

    Args:
        learner: the gradient is with respect to its trained meta-parameters.
        batches: episodes with uniform random numbers ``(B, n, …)`` of the shape of the ``likelihood_targets`` (of any
            shape unless ``labels`` is ``sampled``).
        labels: how the expectation over ``y`` is taken: ``exact`` over the model's own predictive distribution,
            ``sampled`` one draw per example from it, ``empirical`` the data's labels (not a Fisher; for comparison).
        runner: runs the learner on the batches.

    Reference:
        van de Ven, "On the Computation of the Fisher Information in Continual Learning", 2025 (arXiv 2502.11756).
    """

    def directions(task: Task, out: Tensor, uniform: Tensor) -> Tensor:
        if labels == "exact":
            return _of_each_example(learner.objective.score_directions(out))
        if labels == "sampled":
            target = learner.objective.sample(out, uniform.to(out.dtype))
        else:
            target = learner.likelihood_targets(task)
        slope: Tensor = torch.func.grad(learner.objective.loss)(out, target)
        return slope[None]

    return sensitivity(learner, batches, directions, torch.square, runner)


def _of_each_example(directions: Tensor) -> Tensor:
    """Turn ``(K, n, *Y)`` into ``(K n, n, *Y)``: labels of examples are independent, so their cross terms vanish."""
    n = directions.shape[1]
    eye = torch.eye(n, dtype=directions.dtype, device=directions.device)
    eye = eye.reshape(1, n, n, *[1] * (directions.dim() - 2))
    return (directions[:, None] * eye).flatten(0, 1)
