"""Norm layers with batch statistics, when several processes share a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners.base import Learner


@torch.no_grad()
def average_running_statistics(network: nn.Module, *, runner: TaskRunner) -> None:
    """Average the running means and variances of norm layers over all processes, in place.

    A running statistic is a weighted sum of batch statistics, so this average is the weighted sum over the batches of
    all processes. Without it, each process would evaluate with the statistics of its own share of the data, and
    checkpoints would contain those of the first process. Layers in evaluation mode do not change.

    Args:
        network: network whose layers have processed a batch.
        runner: averages over the processes; every process must call this function.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> average_running_statistics(norm, runner=TaskRunner())
        >>> norm.running_mean
        tensor([0., 0.])
    """
    if runner.world == 1:
        return
    statistics: list[Tensor] = []
    for module in network.modules():
        if module.training and isinstance(getattr(module, "running_mean", None), Tensor):
            statistics += [module.running_mean, module.running_var]  # type: ignore[list-item]
    if statistics:
        sizes = [statistic.numel() for statistic in statistics]
        means = runner.sum(torch.cat([statistic.flatten() for statistic in statistics])) / runner.world
        for statistic, mean in zip(statistics, torch.split(means, sizes), strict=True):
            statistic.copy_(mean.view_as(statistic))


def check_shared_batches(learner: Learner, n_processes: int) -> None:
    """Refuse norm layers that would normalise each process's share of a batch of labelled examples separately.

    Tasks are not affected: a task is never divided between processes.

    Args:
        learner: the learner, after the Trainer has replaced layers.
        n_processes: number of processes that share each batch.

    Raises:
        ValueError: naming the layer.

    Example:
        >>> from lifelong.learners import Classifier
        >>> check_shared_batches(Classifier(nn.BatchNorm1d(2)), 1)
    """
    if n_processes == 1 or learner.unit == "tasks" or not learner.is_trained:
        return
    for name, module in learner.network.named_modules():
        if module.training and _normalises_a_batch(module):
            raise ValueError(
                f"{type(module).__name__} {name} normalises by the whole batch, of which each of {n_processes} "
                "processes has a share only: choose another norm (--model.network.norm group, layer or instance), "
                "--trainer.sync_batchnorm true for torch's layers on GPUs, or one process (--trainer.devices 1)"
            )


def _normalises_a_batch(module: nn.Module) -> bool:
    is_torchs = isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))  # excludes SyncBatchNorm
    return is_torchs or bool(getattr(module, "sees_other_examples", False))
