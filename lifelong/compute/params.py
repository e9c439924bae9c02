"""Meta-parameters in the form that pure functions receive."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor

Params = dict[str, Tensor]
"""The learner's meta-parameters by name."""


def floating_type(tensors: Iterable[Tensor]) -> torch.dtype:
    """Return the most precise floating type among tensors, or single precision if there is none.

    Parts of a frozen network may have half precision, but computations with its other parts do not.

    Example:
        >>> floating_type([torch.ones(1, dtype=torch.bfloat16), torch.ones(1)])
        torch.float32
    """
    kinds = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return reduce(torch.promote_types, kinds) if kinds else torch.float32


def parameters_of(params: Params, module: str) -> Params:
    """Select the parameters of one submodule, with the names that they have in it.

    Example:
        >>> import torch
        >>> w = torch.ones(2)
        >>> list(parameters_of({"network.head.weight": w, "network.head.bias": w, "scale": w}, "network.head"))
        ['weight', 'bias']
    """
    prefix = f"{module}."
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}
