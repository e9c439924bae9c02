"""Adaptation to the support sets of several robots: one adapted model per robot, evaluated as a batch.

Shapes: ``R`` robots, ``K`` support examples, ``N`` queries of each robot, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.mapping import over_tasks
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.learners.base import Learner

Predict = Callable[[Tensor], Tensor]
"""Predictions of adapted models: inputs ``(R, N, *X)`` to outputs ``(R, N, *Y)``, one model per robot."""


def adapt_to(
    learner: Learner, support_x: Tensor, support_y: Tensor, *, runner: TaskRunner, adapt: bool = True
) -> Predict:
    """Adapt to the support set of each robot once, and return the function that predicts with the adapted models.

    Args:
        learner: any regression learner.
        support_x: support inputs ``(R, K, *X)``.
        support_y: support targets ``(R, K, *Y)``.
        runner: runs the learner. If it is bound to strategies, they route each robot by its support set.
        adapt: if False, the learner is neither routed nor adapted, for comparison. Learners without inner steps then
            learn from a support set of zeros, which contains no information about the robot.

    Example:
        >>> from lifelong.learners import R2D2
        >>> learner = R2D2(torch.nn.Identity(), task="regression", regulariser=1e-6)
        >>> x = torch.tensor([[[0.0], [1.0]], [[0.0], [1.0]]])
        >>> predict = adapt_to(learner, x, x * torch.tensor([2.0, -3.0])[:, None, None], runner=TaskRunner())
        >>> (predict(torch.full((2, 1, 1), 10.0)).flatten().round() + 0).tolist()
        [20.0, -30.0]
    """
    # Adaptation computes gradients, and a clone made outside inference mode is an ordinary tensor.
    with torch.inference_mode(False), torch.no_grad(), evaluating(learner):
        params = learner.meta_parameters()
        x, y = support_x.to(learner.device).clone(), support_y.to(learner.device).clone()
        batch = Episode(x, y, x[:, :1], y[:, :1], torch.ones(len(x), device=x.device), n_way=0)

        def adapt_task(task: Task) -> tuple[Params, Any]:
            if not adapt:
                return params, unadapted_state(learner, params, task.support_x, task.support_y)
            routed = runner.route(params, task.support_x, task.support_y)
            return routed, learner.adapt(routed, task.support_x, task.support_y)

        routed, state = runner.map(adapt_task, learner, batch)
    dtype, mapping = next(learner.network.parameters(), x).dtype, runner.plan_for(learner, x.device).mapping

    def predict(inputs: Tensor) -> Tensor:
        with evaluating(learner):
            outputs: Tensor = over_tasks(learner.predict, routed, state, inputs.to(dtype), mapping=mapping)
        return outputs.to(inputs.dtype)

    return predict


def unadapted_state(learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Any:
    """Return the state of ONE task before it learns from its support set ``(K, *X)``, ``(K, *Y)``."""
    if callable(trajectory := getattr(learner, "trajectory", None)):
        return trajectory(params, support_x, support_y, 0)[0]
    return learner.adapt(params, support_x, torch.zeros_like(support_y))
