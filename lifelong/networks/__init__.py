"""Networks, one file each."""

from lifelong.networks.conv4 import Conv4
from lifelong.networks.mlp import MLP

__all__ = ["MLP", "Conv4"]
