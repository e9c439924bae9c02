"""A learner as it is at one moment, to be asked again later."""

from __future__ import annotations

import torch

from lifelong.compute.params import Params
from lifelong.compute.plan import has_running_statistics
from lifelong.learners.base import Learner


def current(learner: Learner) -> Params:
    """What a learner answers with, by name: its meta-parameters, and running statistics where its network keeps them.

    They are the learner's own tensors without a graph, and go wherever meta-parameters go.

    Example:
        >>> from torch import nn
        >>> from lifelong.learners import ProtoNet
        >>> list(current(ProtoNet(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))))[-3:]
        ['network.1.running_mean', 'network.1.running_var', 'network.1.num_batches_tracked']
    """
    buffers = learner.network.named_buffers() if has_running_statistics(learner.network) else ()
    statistics = {f"network.{name}": buffer for name, buffer in buffers}
    return {name: tensor.detach() for name, tensor in (learner.meta_parameters() | statistics).items()}


def snapshot(learner: Learner) -> Params:
    """A copy of :func:`current`."""
    return {name: tensor.clone() for name, tensor in current(learner).items()}


def on(device: torch.device, params: Params) -> Params:
    """The same on a device (a checkpoint is loaded on the CPU); the very same where it is there already."""
    return {name: tensor.to(device) for name, tensor in params.items()}
