"""No adaptation: the lower bound that every learner should exceed.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.data.episode import Task
from lifelong.learners.base import Learner, check_outputs
from lifelong.learners.objective import Classification, Regression, TaskKind


class NoAdaptation(Learner):
    """Ignore the support set: train on all examples of the tasks and predict ``f(x)`` for every query.

    ``min_θ Σ_task 1/(S+Q) Σ_i ℓ(f_θ(x_i), y_i)``. In classification, ``y`` is the label within the task. If these
    labels are drawn anew for each task, the best possible accuracy is chance. With fixed ways (``--data.fixed_ways``),
    this is an ordinary classifier that does not use a support set. In regression, it learns the mean function over the
    tasks.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).

    Raises:
        ValueError: when the number of outputs differs from the number of ways.

    Example:
        >>> learner = NoAdaptation(nn.Linear(3, 2))
        >>> one, other = (learner.adapt({}, torch.rand(2, 3), y) for y in (torch.eye(2), 1 - torch.eye(2)))
        >>> query_x, params = torch.ones(1, 3), learner.meta_parameters()
        >>> bool((learner.predict(params, one, query_x) == learner.predict(params, other, query_x)).all())
        True
    """

    def __init__(self, network: nn.Module, *, task: TaskKind = "classification") -> None:
        super().__init__(network, objective=Classification() if task == "classification" else Regression())

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[()]:
        """Return an empty state."""
        return ()

    def predict(self, params: Params, state: tuple[()], query_x: Tensor) -> Tensor:
        """Return the network's outputs."""
        return self.apply_network(params, query_x)

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the loss over support and query, and the outputs for the queries."""
        output, target = self.likelihood_outputs(params, task), self.likelihood_targets(task)
        check_outputs(self, output, target)
        return self.objective.loss(output, target), output[len(task.support_x) :]

    def likelihood_outputs(self, params: Params, task: Task) -> Tensor:
        """Return the network's outputs for support and query examples."""
        return self.apply_network(params, torch.cat([task.support_x, task.query_x]))

    def likelihood_targets(self, task: Task) -> Tensor:
        """Return the targets of support and query examples."""
        return torch.cat([task.support_y, task.query_y])
