"""Data sources that come with the package: each is one class that loads the domains of a stream."""

from datamodules import robots as robots  # so that short names of robots are known
from datamodules.clinc150 import CLINC150
from datamodules.dynamics import Dynamics
from datamodules.fdu_mtl import FDUMTL
from datamodules.glyphs import Glyphs
from datamodules.hugging_face import HuggingFace
from datamodules.idx import MNIST, FashionMNIST
from datamodules.image_folder import ImageFolder
from datamodules.learn2learn import Learn2LearnTasks
from datamodules.meta_world import MetaWorld
from datamodules.omniglot import Omniglot
from datamodules.permuted import Permuted
from datamodules.rotated import Rotated
from datamodules.semeval import SemEval2017
from datamodules.sentfin import SEntFiN
from datamodules.sinusoids import Sinusoids
from datamodules.split_classes import SplitClasses
from datamodules.tensors import Tensors
from datamodules.texts import Texts

__all__ = [
    "CLINC150",
    "FDUMTL",
    "MNIST",
    "Dynamics",
    "FashionMNIST",
    "Glyphs",
    "HuggingFace",
    "ImageFolder",
    "Learn2LearnTasks",
    "MetaWorld",
    "Omniglot",
    "Permuted",
    "Rotated",
    "SEntFiN",
    "SemEval2017",
    "Sinusoids",
    "SplitClasses",
    "Tensors",
    "Texts",
]
