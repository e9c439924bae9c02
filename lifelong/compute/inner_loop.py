"""The inner loop: gradient descent on a support set as a pure function of the initial parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.recompute import recomputed
from lifelong.compute.second_order import second_order

MOST_STEPS = 1_000_000
"""Maximum number of inner steps, because the rates of all steps are listed before the first."""


def gradient_descent(
    loss: Callable[..., Tensor],
    params: Params,
    rates: Sequence[Mapping[str, Tensor | float]],
    *,
    first_order: bool,
    max_norm: float | None = None,
    given: Sequence[Any] = (),
    recompute: bool = False,
    only_last: bool = False,
) -> list[Params]:
    """Take one step for every entry of ``rates``: ``θ ← θ − α ∇ loss(θ)``, and return the parameters after each step.

    The results are differentiable in ``params`` and ``rates``, either through the gradients (second order) or with the
    gradients as constants (``first_order``). The function works under ``vmap`` and inside ``no_grad``.

    For second order, every step keeps all its intermediate results; with ``recompute``, it keeps only its initial
    parameters, and the backward pass runs one step at a time again.

    Args:
        loss: scalar function of the parameters and of ``given``.
        params: initial parameters by name.
        rates: the learning rate of each parameter for every step, in a shape that broadcasts to the parameter's.
        first_order: treat the gradients as constants.
        max_norm: maximum joint Euclidean norm of the gradients of a step; larger gradients are scaled down to it.
        given: further arguments of the loss, tensors in any nesting.
        recompute: run second-order steps again in the backward pass. All tensors that need a gradient must then be
            arguments of the loss.
        only_last: keep only the final parameters.

    Returns:
        ``len(rates) + 1`` sets of parameters, starting with the initial ones; or only the last set.

    Reference:
        Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017 (first order: section 5.2).

    Example:
        >>> start, rate = {"w": torch.tensor(1.0)}, {"w": torch.tensor(0.25)}
        >>> [float(p["w"]) for p in gradient_descent(lambda p: p["w"] ** 2, start, [rate, rate], first_order=False)]
        [1.0, 0.5, 0.25]
    """

    def step(params: Params, rate: Mapping[str, Tensor | float], *given: Any) -> Params:
        # First-order gradients are constants and need no graph.
        twice = torch.is_grad_enabled() and not first_order
        with torch.set_grad_enabled(twice), second_order(twice):
            gradients: Params = torch.func.grad(loss)(params, *given)
            if max_norm is not None:
                gradients = clipped(gradients, max_norm)
        return {name: p - rate[name] * gradients[name] for name, p in params.items()}

    again = recompute and not first_order and torch.is_grad_enabled()
    trajectory = [params]
    for rate in rates:
        params = recomputed(step, params, rate, *given) if again else step(params, rate, *given)
        trajectory = [params] if only_last else [*trajectory, params]
    return trajectory


def clipped(gradients: Params, max_norm: float) -> Params:
    """Return all gradients times ``min(1, max_norm / norm)``, where ``norm`` is their joint Euclidean norm.

    Example:
        >>> clipped({"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}, 1.0)["b"].item()
        0.800000011920929
    """
    square = torch.stack([g.square().sum() for g in gradients.values()]).sum()
    # The lower bound keeps the square root differentiable if all gradients are zero.
    factor = (max_norm / square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()).clamp_max(1.0)
    return {name: g * factor for name, g in gradients.items()}
