"""The inner loop: gradient descent on a support set as a pure function of the parameters it starts from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Params = dict[str, Tensor]


def gradient_descent(
    loss: Callable[[Params], Tensor], params: Params, rates: Params, *, n_steps: int, first_order: bool
) -> Params:
    """Descend ``n_steps`` times: ``θ ← θ − α ∇ loss(θ)``.

    The result is differentiable in ``params`` and ``rates``: through the gradients themselves (second order), or with
    the gradients held constant (``first_order``). Works under ``vmap`` and inside ``no_grad``.

    Args:
        loss: of the parameters, a scalar.
        params: starting point by name.
        rates: learning rate of each parameter, broadcast against it.
        n_steps: number of steps; 0 returns ``params``.
        first_order: hold the gradients constant.

    Reference:
        Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning", ICML 2017 (first order: section 5.2).

    Example:
        >>> start, rate = {"w": torch.tensor(1.0)}, {"w": torch.tensor(0.25)}
        >>> gradient_descent(lambda p: p["w"] ** 2, start, rate, n_steps=1, first_order=False)["w"]
        tensor(0.5000)
    """
    for _ in range(n_steps):
        gradients: Params = torch.func.grad(loss)(params)
        if first_order:
            gradients = {name: g.detach() for name, g in gradients.items()}
        params = {name: p - rates[name] * gradients[name] for name, p in params.items()}
    return params
