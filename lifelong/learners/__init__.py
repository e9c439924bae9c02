"""Learners, one file each."""

from lifelong.learners.maml import MAML
from lifelong.learners.prototypical import ProtoNet

__all__ = ["MAML", "ProtoNet"]
