"""What tests of the frozen encoder share: the encoder on a CPU, and its features by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lifelong.vision import FrozenEncoder
from tests.vision.networks import Counting


def encoder(network: nn.Module, **settings: Any) -> FrozenEncoder:
    return FrozenEncoder(network=network, device="cpu", **settings)


def by_hand(network: Counting, x: Tensor) -> Tensor:
    return torch.tanh(x.float().flatten(1) / 255 @ network.linear.weight.T + network.linear.bias).detach()
