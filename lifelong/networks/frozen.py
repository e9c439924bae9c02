"""A frozen network with a trainable head."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from lifelong.utilities.recorded import record_as

HEAD = "head."
"""Prefix of the names of a head's parameters."""


def Frozen(network: nn.Module) -> nn.Module:
    """Return the network itself, with all parameters frozen except those of its head (the module ``head``).

    Frozen parameters have no gradients, and the network is always in evaluation mode. This is a function, not a wrapper
    class, so learners and strategies find the network's attributes in their usual places.

    Args:
        network: a network with or without a head.

    Example:
        >>> from lifelong.networks import MLP
        >>> network = Frozen(MLP(n_inputs=4, hidden=[3], n_outputs=2))
        >>> [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        ['head.weight', 'head.bias']
    """
    arguments = {"network": copy.copy(network)}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(HEAD))
    # Before every pass, because the Trainer and other code switch modules back to training mode.
    network.register_forward_pre_hook(_evaluate)
    record_as(network, Frozen, arguments)
    return network


def _evaluate(network: nn.Module, inputs: Any) -> None:
    network.eval()
