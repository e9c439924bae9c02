"""A network of which only the head is trained."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from lifelong.utilities.recorded import record_as

HEAD = "head."
"""How the parameters of a network's head begin."""


def Frozen(network: nn.Module) -> nn.Module:
    """Return the network itself, of which only the head (the module ``head``) is trained.

    All other parameters have no gradients, and the network is always in evaluation mode. A function and no wrapper,
    named as what it stands for: what learners and strategies look for in a network is where it was.

    Args:
        network: with or without a head.

    Example:
        >>> from lifelong.networks import MLP
        >>> network = Frozen(MLP(n_inputs=4, hidden=[3], n_outputs=2))
        >>> [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        ['head.weight', 'head.bias']
    """
    arguments = {"network": copy.copy(network)}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(HEAD))
    # Not once: the Trainer and others put modules into training mode again.
    network.register_forward_pre_hook(_evaluate)
    record_as(network, Frozen, arguments)
    return network


def _evaluate(network: nn.Module, inputs: Any) -> None:
    network.eval()
