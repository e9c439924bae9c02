"""Reptile: move the initialisation towards the final weights of the inner loop.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.data.episode import Task
from lifelong.learners.gradient_learner import GradientLearner, follow
from lifelong.learners.objective import TaskKind


class Reptile(GradientLearner):
    """Learn by Reptile: move the initialisation towards the weights trained on a task, ``θ ← θ + ε (φ − θ)``.

    ``φ`` are the weights after gradient descent from ``θ`` on all examples of the task. The update is the gradient
    ``θ − φ`` of the loss ``½ ‖θ − stop(φ)‖²``, summed over the network's parameters, so it works with any outer
    optimizer; SGD with rate ``ε`` is the paper's update. In training, ``φ`` learns from support and query examples
    together. Predictions, and the outputs that strategies receive, always come from the support set only; their
    derivative in ``θ`` is the first-order one (``∂φ/∂θ = I``).

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: learning rate of the inner steps.

    Raises:
        ValueError: when the network keeps running statistics, or its number of outputs differs from the number of
            ways.

    Reference:
        Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms", 2018 (arXiv 1803.02999). Differences:
        every inner step is plain gradient descent on the mean loss over all of the task's examples, whereas the paper
        uses Adam (``β₁ = 0``) on minibatches.

    Example:
        >>> learner = Reptile(nn.Linear(2, 2, bias=False), n_inner_steps=3)
        >>> x = y = torch.eye(2)
        >>> loss, _ = learner.task_loss(learner.meta_parameters(), Task(x, y, x, y, torch.arange(2)))
        >>> (gradient,) = torch.autograd.grad(loss, learner.parameters())
        >>> state = learner.adapt(learner.meta_parameters(), torch.cat([x, x]), torch.cat([y, y]))
        >>> torch.allclose(gradient, learner.network.weight - state["network.weight"])
        True
    """

    recomputes_steps: ClassVar[bool] = False
    """The inner loop keeps no graph."""

    def __init__(
        self,
        network: nn.Module,
        *,
        task: TaskKind = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            inner_rate=inner_rate,
            first_order=True,
        )

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return ``φ`` of the support set, as ``θ + stop(φ − θ)``."""
        return follow(params, self.settle(params, support_x, support_y))

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return ``½ ‖θ − φ‖²`` in training, else the query loss; and the outputs adapted to the support set only."""
        loss, output = super().task_loss(params, task)
        if not self.training:
            return loss, output
        x, y = torch.cat([task.support_x, task.query_x]), torch.cat([task.support_y, task.query_y])
        distances = [(params[name] - end).square().sum() for name, end in self.settle(params, x, y).items()]
        return torch.stack(distances).sum() / 2, output
