"""The inner loop: gradient descent on a support set as a pure function of the parameters it starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.recompute import recomputed
from lifelong.compute.second_order import second_order

MOST_STEPS = 1_000_000
"""Each step of an inner loop has rates of its own, which are listed before the first."""


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
    """Descend once for every entry of ``rates``: ``θ ← θ − α ∇ loss(θ)``, and return all parameters on the way.

    The results are differentiable in ``params`` and ``rates``: through the gradients themselves (second order), or with
    the gradients held constant (``first_order``). Works under ``vmap`` and inside ``no_grad``.

    To be differentiated at second order, every step keeps all that it computed; with ``recompute`` it keeps the
    parameters that it starts from, and one step at a time is run again in the backward pass.

    Args:
        loss: of the parameters and what is ``given``, a scalar.
        params: starting point by name.
        rates: for every step the learning rate of each parameter, broadcast against it.
        first_order: hold the gradients constant.
        max_norm: scale a step's gradients down together so that their joint Euclidean norm is at most this.
        given: further arguments of the loss, tensors in any nesting.
        recompute: run second-order steps again in the backward pass. The loss must then read no tensor that needs a
            gradient but those it is given.
        only_last: do not hold the parameters on the way.

    Returns:
        ``len(rates) + 1`` sets of parameters, the starting point first; or the last one alone.

    Reference:
        Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017 (first order: section 5.2).

    Example:
        >>> start, rate = {"w": torch.tensor(1.0)}, {"w": torch.tensor(0.25)}
        >>> [float(p["w"]) for p in gradient_descent(lambda p: p["w"] ** 2, start, [rate, rate], first_order=False)]
        [1.0, 0.5, 0.25]
    """

    def step(params: Params, rate: Mapping[str, Tensor | float], *given: Any) -> Params:
        # Constants need no graph that leads back to the parameters.
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
    """Return all gradients times ``min(1, max_norm / norm)`` with their joint Euclidean norm.

    Example:
        >>> clipped({"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}, 1.0)["b"].item()
        0.800000011920929
    """
    square = torch.stack([g.square().sum() for g in gradients.values()]).sum()
    # The floor keeps the square root differentiable where all gradients are zero.
    factor = (max_norm / square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()).clamp_max(1.0)
    return {name: g * factor for name, g in gradients.items()}
