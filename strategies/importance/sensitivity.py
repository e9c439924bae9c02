"""How strongly the outputs of single tasks depend on each parameter, as the basis of importance estimates.

Shapes: ``B`` tasks, ``n`` examples of a task with outputs, ``K`` directions, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.mapping import over_tasks
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.learners.base import Learner

Directions = Callable[..., Tensor]
"""From a :class:`~lifelong.data.episode.Task`, its outputs ``(n, *Y)`` and a row of further tensors: ``(K, n, *Y)``."""
Magnitude = Callable[[Tensor], Tensor]
"""``torch.square`` or ``torch.abs``: an elementwise function with ``|a b| = |a| |b|``."""


def sensitivity(
    learner: Learner,
    batches: Iterable[tuple[Any, ...]],
    directions: Directions,
    magnitude: Magnitude,
    runner: TaskRunner,
) -> Params:
    """Compute ``Σ_task Σ_k |J_taskᵀ v_k|`` with the Jacobian ``J`` of a task's outputs and a magnitude ``|·|``.

    Gradients are per task, through its adaptation, with the network in evaluation mode. The result does not depend on
    how tasks are batched. For labelled examples and a network whose trained layers are linear, per-example gradients
    are not formed: the gradient of a weight matrix is an outer product, and so is its magnitude.

    Args:
        learner: the Jacobian is of its ``likelihood_outputs`` with respect to its trained meta-parameters.
        batches: an :class:`~lifelong.data.episode.Episode` and further tensors ``(B, …)`` for ``directions``.
        directions: the vectors ``v_k`` of one task.
        magnitude: ``torch.square`` or ``torch.abs``.
        runner: runs the learner on the batches.
    """
    trained = {name: p.detach() for name, p in learner.meta_parameters().items() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in trained.items()}
    with evaluating(learner.network), torch.no_grad():
        for batch, *more in batches:
            sums = _of_linear_layers(learner, batch, more, directions, magnitude, runner)
            if sums is None:
                sums = _of_each_task(learner, batch, more, directions, magnitude, runner)
            total = {name: t + sums[name] for name, t in total.items()}
    return total


def _of_each_task(
    learner: Learner,
    batch: Episode,
    more: list[Tensor],
    directions: Directions,
    magnitude: Magnitude,
    runner: TaskRunner,
) -> Params:
    params = {name: p.detach() for name, p in learner.meta_parameters().items()}
    trained = {name: params[name] for name, p in learner.meta_parameters().items() if p.requires_grad}
    mapping = runner.plan_for(learner, batch.weight.device).mapping

    def likelihood(task: Task, theta: Params) -> Tensor:
        routed = runner.route({**params, **theta}, task.support_x, task.support_y)
        return learner.likelihood_outputs(routed, task)

    def of_task(task: Task, *rows: Tensor) -> Params:
        vjp: Any = torch.func.vjp(partial(likelihood, task), trained)
        out, pull_back = vjp
        vectors = directions(task, out.detach(), *rows)
        if len(vectors) == 1:
            with torch.enable_grad():  # for exactly the same result as torch.func.grad
                (gradient,) = pull_back(vectors[0])
            return {name: magnitude(g.detach()) for name, g in gradient.items()}
        (jacobian,) = over_tasks(pull_back, vectors, mapping=mapping)
        return {name: magnitude(j).sum(0) for name, j in jacobian.items()}

    per_task = runner.map(of_task, learner, batch, *more)
    return {name: magnitudes.sum(0) for name, magnitudes in per_task.items()}


def _of_linear_layers(
    learner: Learner,
    batch: Episode,
    more: list[Tensor],
    directions: Directions,
    magnitude: Magnitude,
    runner: TaskRunner,
) -> Params | None:
    """Compute the same in one pass over labelled examples; return None if per-example gradients are needed.

    Each layer must have been called with one row per example. Routed parameters are not supported, because a layer's
    inputs do not show how a route has computed its parameters.
    """
    layers = _trained_linear_layers(learner)
    of_outputs = type(learner).likelihood_outputs is Learner.likelihood_outputs
    if learner.unit != "examples" or not of_outputs or len(batch) == 1 or not layers or runner.is_routed:
        return None
    outputs, passes = _watched(learner, batch, layers, runner)
    if sorted(name for name, *_ in passes) != sorted(layers):
        return None
    if any(x.shape[:-1] != (len(batch),) for _, x, _ in passes):
        return None
    names, inputs, results = zip(*passes, strict=True)
    rows = [torch.zeros_like(result) for result in results]
    for vector in runner.map(directions, learner, batch, outputs.detach(), *more).unbind(1):
        slopes = torch.autograd.grad(outputs, results, vector, retain_graph=True, materialize_grads=True)
        rows = [row + magnitude(slope) for row, slope in zip(rows, slopes, strict=True)]
    biases = {f"{name}.bias": row.sum(0) for name, row in zip(names, rows, strict=True)}
    return biases | {f"{n}.weight": r.T @ magnitude(x) for n, r, x in zip(names, rows, inputs, strict=True)}


def _watched(
    learner: Learner, batch: Episode, layers: dict[str, nn.Linear], runner: TaskRunner
) -> tuple[Tensor, list[tuple[str, Tensor, Tensor]]]:
    """Return the outputs ``(B, n, …)`` and for each call of a layer its name, input and output."""
    passes: list[tuple[str, Tensor, Tensor]] = []

    def watch(name: str) -> Any:
        return lambda module, received, returned: passes.append((name, received[0].detach(), returned))

    handles = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            outputs = runner.outputs(learner, learner.meta_parameters(), batch)
    finally:
        for handle in handles:
            handle.remove()
    return outputs, passes


def _trained_linear_layers(learner: Learner) -> dict[str, nn.Linear]:
    """Return the linear layers that own all trained parameters, by name; empty if other modules own some."""
    params = learner.meta_parameters()
    trained = {name for name, p in params.items() if p.requires_grad}
    linear = {name: module for name, module in learner.named_modules() if type(module) is nn.Linear}
    layers = {name: m for name, m in linear.items() if trained & {f"{name}.weight", f"{name}.bias"}}
    of_layers = {f"{name}.{kind}" for name in layers for kind in ("weight", "bias")}
    every = list(learner.named_parameters(remove_duplicate=False))
    return layers if trained <= of_layers and len(every) == len(params) else {}
