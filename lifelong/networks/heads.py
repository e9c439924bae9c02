"""A network in two parts: ``features`` (the body) and ``head``, for learners that treat them differently.

Shapes: ``n`` inputs, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params, floating_type, parameters_of


def has_head(network: nn.Module) -> bool:
    """Return whether a network has a method ``features`` and a module ``head``: ``forward(x) = head(features(x))``."""
    return callable(getattr(network, "features", None)) and isinstance(getattr(network, "head", None), nn.Module)


def check_head(network: nn.Module, learner: str) -> None:
    """Reject a network that cannot be split into body and head.

    Raises:
        ValueError: when it has no ``features`` or no head with parameters.
    """
    if not has_head(network) or not any(True for _ in network.head.parameters()):  # type: ignore[union-attr]
        raise ValueError(
            f"{learner} needs a network with features and a head of its own, and {type(network).__name__} has none: "
            "set --model.network.n_outputs, or wrap it in lifelong.networks.WithHead"
        )


def longer_layer(layer: nn.Linear, n_outputs: int) -> nn.Linear:
    """Return a linear layer with more outputs, whose first outputs equal those of ``layer``.

    Args:
        layer: the layer to extend.
        n_outputs: number of outputs of the new layer, at least that of ``layer``.

    Example:
        >>> longer_layer(nn.Linear(2, 3), 5)
        Linear(in_features=2, out_features=5, bias=True)
    """
    weight = layer.weight
    with torch.random.fork_rng(devices=[]):
        longer = nn.Linear(layer.in_features, n_outputs, layer.bias is not None, weight.device, weight.dtype)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            getattr(longer, name)[: len(parameter)] = parameter
    return longer.requires_grad_(weight.requires_grad)


def in_head(name: str) -> bool:
    """Return whether a parameter of the network belongs to its head.

    Example:
        >>> in_head("head.weight"), in_head("blocks.0.0.weight")
        (True, False)
    """
    return name.startswith("head.")


def apply_features(network: nn.Module, params: Params, x: Tensor) -> Tensor | None:
    """Return the head's input ``(n, D)``, computed with the given parameters (``network.…``).

    This is ``features(x)``, with anything that ``forward`` applies to it before the head. Returns None if the network
    is not a head on features: the output of the head is not the output of the network, or the head is used more than
    once.
    """
    network_params = {name: p for name, p in params.items() if name.startswith("network.")}
    output, calls = torch.func.functional_call(_Watched(network), network_params, (x,))
    return calls[0][0] if len(calls) == 1 and calls[0][1] is output else None


def apply_embedding(network: nn.Module, params: Params, x: Tensor) -> Tensor:
    """Return the head's input if the network is a head on features, else the network's output, as ``(n, D)``."""
    features = apply_features(network, params, x) if has_head(network) else None
    if features is not None:
        return features.flatten(1).to(output_dtype(x, params))
    network_params = parameters_of(params, "network")
    return torch.func.functional_call(network, network_params, (x,)).flatten(1).to(output_dtype(x, params))  # type: ignore[no-any-return]


def output_dtype(x: Tensor, params: Params) -> torch.dtype:
    """Return the data type of outputs: that of real inputs or, for tokens, the most precise of the parameters."""
    return x.dtype if x.is_floating_point() else floating_type(params.values())


def apply_head(network: nn.Module, params: Params, features: Tensor) -> Tensor:
    """Compute ``head(features)`` with the given parameters (``network.…``) instead of the network's own."""
    head_params = parameters_of(params, "network.head")
    return torch.func.functional_call(network.head, head_params, (features,))  # type: ignore[no-any-return, arg-type]


class _Watched(nn.Module):
    """Return the network's output, and the inputs and outputs of its head."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        calls: list[tuple[Tensor, Tensor]] = []
        head: nn.Module = self.network.head  # type: ignore[assignment]
        # A hook instead of ``features``, because ``forward`` may apply more to the features before the head.
        handle = head.register_forward_hook(lambda _, inputs, output: calls.append((inputs[0], output)))
        try:
            return self.network(x), calls
        finally:
            handle.remove()
