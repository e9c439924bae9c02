"""DataModules of streams, and the data sources that come with the package, one class each."""

from datamodules import robots as robots  # registers short names of robots
from datamodules.cifar10 import CIFAR10
from datamodules.clinc150 import CLINC150
from datamodules.dynamics import Dynamics
from datamodules.encoded import Encoded
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from datamodules.fdu_mtl import FDUMTL
from datamodules.glyphs import Glyphs
from datamodules.hugging_face import HuggingFace
from datamodules.image_folder import ImageFolder
from datamodules.learn2learn_tasks import Learn2LearnTasks
from datamodules.meta_world import MetaWorld
from datamodules.mnist import MNIST, FashionMNIST
from datamodules.omniglot import Omniglot
from datamodules.permuted import Permuted
from datamodules.rooms import Rooms
from datamodules.rotated import Rotated
from datamodules.semeval2017 import SemEval2017
from datamodules.sentfin import SEntFiN
from datamodules.sinusoids import Sinusoids
from datamodules.split_classes import SplitClasses
from datamodules.tensors import Tensors
from datamodules.texts import Texts

__all__ = [
    "CIFAR10",
    "CLINC150",
    "FDUMTL",
    "MNIST",
    "Dynamics",
    "Encoded",
    "EpisodicDataModule",
    "ExampleDataModule",
    "FashionMNIST",
    "Glyphs",
    "HuggingFace",
    "ImageFolder",
    "Learn2LearnTasks",
    "MetaWorld",
    "Omniglot",
    "Permuted",
    "Rooms",
    "Rotated",
    "SEntFiN",
    "SemEval2017",
    "Sinusoids",
    "SplitClasses",
    "Tensors",
    "Texts",
]
