"""Meta-SGD: learn the initialisation together with the direction and the rate of every inner step.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.gradient_learner import GradientLearner, key
from lifelong.learners.objective import TaskKind


class MetaSGD(GradientLearner):
    """Learn by Meta-SGD: ``min_{θ,α} Σ_task L_query(θ − α ⊙ ∇ L_support(θ))``, one learnt rate per parameter element.

    The rates may become negative. All inner steps share them.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: initial value of every element of ``α``.
        first_order: treat the inner gradients as constants (as first-order MAML does).
        inner_huber: ``δ`` of a Huber inner loss, for regression; it replaces the squared error in the inner loop.
        inner_clip: maximum joint norm of an inner step's gradients; larger gradients are scaled down to it.

    Raises:
        ValueError: when the network keeps running statistics, or its number of outputs differs from the number of
            ways.

    Reference:
        Li, Zhou, Chen & Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017 (arXiv 1707.09835).
        Differences: all rates start at the same given value, whereas the paper draws one at random; more than one inner
            step is possible.

    Example:
        >>> learner = MetaSGD(nn.Linear(2, 2), inner_rate=0.5)
        >>> {name: tuple(rate.shape) for name, rate in learner.inner_rates.items()}
        {'bias': (2,), 'weight': (2, 2)}
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: TaskKind = "classification",
        n_inner_steps: int = 1,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        first_order: bool = False,
        inner_huber: float | None = None,
        inner_clip: float | None = None,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            inner_rate=inner_rate,
            first_order=first_order,
            inner_huber=inner_huber,
            inner_clip=inner_clip,
        )
        self.inner_rates = nn.ParameterDict(
            {
                key(name): nn.Parameter(torch.full_like(p, inner_rate, requires_grad=True))
                for name, p in self.moving_parameters().items()
            }
        )

    def phase(self) -> Hashable | None:
        """Return a constant, because the form of the losses never changes."""
        return ()

    def rate(self, params: Params, name: str, step: int) -> Tensor:
        """Return ``α`` of every element of this parameter."""
        return params[f"inner_rates.{key(name)}"]
