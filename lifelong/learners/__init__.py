"""Learners, one file each."""

from lifelong.learners.anil import ANIL
from lifelong.learners.boil import BOIL
from lifelong.learners.cavia import CAVIA
from lifelong.learners.classifier import Classifier
from lifelong.learners.fine_tuning import FineTuning
from lifelong.learners.imaml import IMAML
from lifelong.learners.learn2learn import Learn2Learn
from lifelong.learners.linear_probe import LinearProbe
from lifelong.learners.mahalanobis import Mahalanobis
from lifelong.learners.maml import MAML
from lifelong.learners.matchingnet import MatchingNet
from lifelong.learners.meta_sgd import MetaSGD
from lifelong.learners.metaoptnet import MetaOptNet
from lifelong.learners.nearest_class_mean import NearestClassMean
from lifelong.learners.no_adaptation import NoAdaptation
from lifelong.learners.protonet import ProtoNet
from lifelong.learners.r2d2 import R2D2
from lifelong.learners.ranpac import RanPAC
from lifelong.learners.relationnet import RelationNet
from lifelong.learners.reptile import Reptile
from lifelong.learners.simple_shot import SimpleShot
from lifelong.learners.streaming_lda import StreamingLDA
from lifelong.learners.streaming_ridge import StreamingRidge
from lifelong.learners.transductive_protonet import TransductiveProtoNet

__all__ = [
    "ANIL",
    "BOIL",
    "CAVIA",
    "IMAML",
    "MAML",
    "R2D2",
    "Classifier",
    "FineTuning",
    "Learn2Learn",
    "LinearProbe",
    "Mahalanobis",
    "MatchingNet",
    "MetaOptNet",
    "MetaSGD",
    "NearestClassMean",
    "NoAdaptation",
    "ProtoNet",
    "RanPAC",
    "RelationNet",
    "Reptile",
    "SimpleShot",
    "StreamingLDA",
    "StreamingRidge",
    "TransductiveProtoNet",
]
