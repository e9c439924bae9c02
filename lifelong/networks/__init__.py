"""Networks, one file each."""

from lifelong.networks.conv4 import Conv4
from lifelong.networks.mlp import MLP
from lifelong.networks.split import WithHead

__all__ = ["MLP", "Conv4", "WithHead"]
