"""Meta-parameters as pure functions take them."""

from __future__ import annotations

from torch import Tensor

Params = dict[str, Tensor]
"""The learner's meta-parameters by name."""


def parameters_of(params: Params, module: str) -> Params:
    """Select the parameters of one submodule, named as it names them.

    Example:
        >>> import torch
        >>> w = torch.ones(2)
        >>> list(parameters_of({"network.head.weight": w, "network.head.bias": w, "scale": w}, "network.head"))
        ['weight', 'bias']
    """
    prefix = f"{module}."
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}
