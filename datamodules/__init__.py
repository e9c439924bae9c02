"""Data sources that come with the package: each is one class that loads the domains of a stream."""

from datamodules.glyphs import Glyphs
from datamodules.hugging_face import HuggingFace
from datamodules.idx import MNIST, FashionMNIST
from datamodules.image_folder import ImageFolder
from datamodules.learn2learn import Learn2LearnTasks
from datamodules.omniglot import Omniglot
from datamodules.permuted import Permuted
from datamodules.rotated import Rotated
from datamodules.sinusoids import Sinusoids
from datamodules.split_classes import SplitClasses
from datamodules.tensors import Tensors

__all__ = [
    "MNIST",
    "FashionMNIST",
    "Glyphs",
    "HuggingFace",
    "ImageFolder",
    "Learn2LearnTasks",
    "Omniglot",
    "Permuted",
    "Rotated",
    "Sinusoids",
    "SplitClasses",
    "Tensors",
]
