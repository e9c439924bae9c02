"""Copies of a learner's parameters and running statistics, for predicting with them later."""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.plan import has_running_statistics
from lifelong.learners.base import Learner


def state_of(learner: Learner) -> Params:
    """Return what a learner predicts with: meta-parameters, and running statistics if its network has any.

    They are the learner's own tensors, detached, and can be passed wherever meta-parameters are expected.

    Example:
        >>> from torch import nn
        >>> from lifelong.learners import ProtoNet
        >>> list(state_of(ProtoNet(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))))[-3:]
        ['network.1.running_mean', 'network.1.running_var', 'network.1.num_batches_tracked']
    """
    buffers = learner.network.named_buffers() if has_running_statistics(learner.network) else ()
    statistics = {f"network.{name}": buffer for name, buffer in buffers}
    return {name: tensor.detach() for name, tensor in (learner.meta_parameters() | statistics).items()}


def snapshot(learner: Learner) -> Params:
    """Return a copy of :func:`state_of`."""
    return {name: tensor.clone() for name, tensor in state_of(learner).items()}


def to_device(params: Params, device: torch.device) -> Params:
    """Return parameters on a device, as those of a checkpoint are loaded on the CPU."""
    return {name: tensor.to(device) for name, tensor in params.items()}


def lengthened(params: Params, learner: Learner, fill: float | None = None) -> Params:
    """Return per-parameter tensors extended to the shapes of a learner's parameters, which have rows for new classes.

    Args:
        params: tensors by the names of :func:`state_of`.
        learner: learner with the longer parameters.
        fill: value of new rows. Default: the learner's own values.

    Example:
        >>> from torch import nn
        >>> from lifelong.learners import Classifier
        >>> lengthened({"network.weight": torch.ones(1, 2)}, Classifier(nn.Linear(2, 3)), fill=0)["network.weight"]
        tensor([[1., 1.],
                [0., 0.],
                [0., 0.]])
    """
    return {name: _longer(tensor, state_of(learner)[name], fill) for name, tensor in params.items()}


def _longer(old: Tensor, new: Tensor, fill: float | None) -> Tensor:
    if old.shape == new.shape:
        return old
    rows = new[len(old) :].to(old)
    return torch.cat([old, rows if fill is None else torch.full_like(rows, fill)])
