"""A learner that wraps any gradient-based algorithm of learn2learn.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import check_outputs
from lifelong.learners.gradient_learner import GradientLearner
from lifelong.learners.objective import TaskKind
from lifelong.utilities.learn2learn import import_learn2learn

Name = Literal["maml", "meta_sgd", "meta_curvature", "kronecker"]
Algorithm = Callable[[nn.Module], nn.Module]
"""Wraps a network in a module with ``clone()``, ``adapt(loss)`` and ``forward(x)``, like learn2learn's algorithms."""


class Learn2Learn(GradientLearner):
    """Train a learn2learn algorithm on streams, with strategies: ``clone()``, then ``adapt(loss)`` per step.

    The learner's ``network`` is the wrapped network, so the meta-parameters include what the algorithm learns besides
    the weights (rates, curvatures). Tasks run in a loop, because learn2learn's modules change in place while they
    adapt.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        algorithm: ``maml``, ``meta_sgd`` (a learnt rate per weight), ``meta_curvature`` or ``kronecker`` (learnt
            transforms of the gradients, learn2learn's ``GBML``), or a function that wraps the network in an algorithm.
            Such a function sets the rate and the order itself; ``inner_rate`` and ``first_order`` do not apply.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: learning rate of a named algorithm's steps; its initial value if the rate is learnt.
        first_order: a named algorithm treats the inner gradients as constants.

    Raises:
        ValueError: when learn2learn is needed but not installed, the network keeps running statistics, or its number of
            outputs differs from the number of ways.

    Reference:
        Arnold et al., "learn2learn: A Library for Meta-Learning Research", 2020. Meta-SGD: Li et al. 2017;
        Meta-Curvature: Park & Oliva, NeurIPS 2019; Kronecker: Arnold, Iqbal & Sha, AISTATS 2021. Differences: none
        in the algorithms, which are learn2learn's own; norm layers with running statistics are rejected, and the inner
        loop runs in full precision under autocast.

    Example:
        >>> class OneStep(nn.Module):
        ...     def __init__(self, module):
        ...         super().__init__()
        ...         self.module = module
        ...     def clone(self):
        ...         return OneStep(nn.Linear(2, 2))
        ...     def adapt(self, loss):
        ...         pass
        ...     def forward(self, x):
        ...         return self.module(x)
        >>> learner = Learn2Learn(nn.Linear(2, 2), algorithm=OneStep)
        >>> list(learner.adapt(learner.meta_parameters(), torch.eye(2), torch.eye(2)))
        ['network.module.weight', 'network.module.bias']
    """

    takes_vmap: ClassVar[bool] = False
    recomputes_steps: ClassVar[bool] = False
    """The steps of learn2learn cannot be recomputed separately."""

    def __init__(
        self,
        network: nn.Module,
        *,
        algorithm: Name | Algorithm = "maml",
        task: TaskKind = "classification",
        n_inner_steps: int = 5,
        n_eval_steps: int | None = None,
        inner_rate: float = 0.1,
        first_order: bool = False,
    ) -> None:
        make = _named(algorithm, inner_rate, first_order) if isinstance(algorithm, str) else algorithm
        super().__init__(
            make(network),
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            first_order=first_order,
        )

    def trajectory(
        self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int, *, only_last: bool = False
    ) -> Sequence[Params]:
        """Return the algorithm's parameters after 0, 1, …, ``n_steps`` steps, without a graph if gradients are off."""
        keeps_graph = torch.is_grad_enabled()
        start = {name: p for name, p in params.items() if name.startswith("network.")}

        def loss(algorithm: nn.Module) -> Tensor:
            output = algorithm(support_x)
            check_outputs(self, output, support_y)
            return self.objective.loss(output, support_y)

        # learn2learn calls torch.autograd.grad, which needs a graph in evaluation too.
        with torch.autocast(support_x.device.type, enabled=False), torch.enable_grad():
            given = {name: _tracked(p) for name, p in start.items()}
            way = torch.func.functional_call(_InnerLoop(self.network), given, (loss, n_steps))
        states = [start] + [{**start, **(after if keeps_graph else _detached(after))} for after in way]
        return states[-1:] if only_last else states


class _InnerLoop(nn.Module):
    """Clone and adapt inside ``functional_call``, so that the clone uses the parameters passed to that call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, loss: Callable[[nn.Module], Tensor], n_steps: int) -> list[Params]:
        algorithm: Any = self.network.clone()  # type: ignore[operator]
        way = []
        for _ in range(n_steps):
            algorithm.adapt(loss(algorithm))
            way.append({f"network.{name}": p for name, p in algorithm.named_parameters()})
        return way


def _tracked(parameter: Tensor) -> Tensor:
    """Return the tensor itself or, if it is frozen or detached, a leaf that can be adapted."""
    if parameter.requires_grad:
        return parameter
    try:
        return parameter.detach().requires_grad_()
    except RuntimeError as error:
        raise ValueError(
            "learn2learn cannot adapt a frozen parameter inside torch.func, where the Fisher is estimated (EWC): "
            "train all parameters of the network, or choose lifelong.learners.MAML"
        ) from error


def _detached(params: Params) -> Params:
    return {name: p.detach() for name, p in params.items()}


def _named(name: Name, rate: float, first_order: bool) -> Algorithm:
    l2l = import_learn2learn()

    def make(network: nn.Module) -> Any:  # pragma: no cover
        if name == "maml":
            return l2l.algorithms.MAML(network, lr=rate, first_order=first_order)
        if name == "meta_sgd":
            return l2l.algorithms.MetaSGD(network, lr=rate, first_order=first_order)
        kronecker = l2l.optim.KroneckerTransform(l2l.nn.KroneckerLinear)
        transform = kronecker if name == "kronecker" else l2l.optim.MetaCurvatureTransform
        return l2l.algorithms.GBML(network, transform=transform, lr=rate, first_order=first_order)

    return make  # pragma: no cover
