"""Networks, one file each."""

from lifelong.networks.backbone import Backbone
from lifelong.networks.conv4 import Conv4
from lifelong.networks.efficientnet_lite import EfficientNetLite
from lifelong.networks.from_checkpoint import FromCheckpoint
from lifelong.networks.frozen import Frozen
from lifelong.networks.mlp import MLP
from lifelong.networks.prompted_transformer import PromptedTransformer
from lifelong.networks.prompts import L2P, CODAPrompt, DualPrompt
from lifelong.networks.resnet12 import ResNet12
from lifelong.networks.timm import Timm
from lifelong.networks.transformer import Transformer
from lifelong.networks.with_head import WithHead
from lifelong.networks.with_probabilities import WithProbabilities

__all__ = [
    "L2P",
    "MLP",
    "Backbone",
    "CODAPrompt",
    "Conv4",
    "DualPrompt",
    "EfficientNetLite",
    "FromCheckpoint",
    "Frozen",
    "PromptedTransformer",
    "ResNet12",
    "Timm",
    "Transformer",
    "WithHead",
    "WithProbabilities",
]
