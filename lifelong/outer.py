"""The outer loop: how meta-parameters are trained, the same settings for every learner."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from lifelong.mapping import Mapping


@dataclass(frozen=True)
class OuterLoop:
    """How the meta-parameters of a learner are trained.

    Args:
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the schedule of its learning rate, which moves on after every optimizer step; None keeps it.
        reset_optimizer: forget the optimizer's state (momentum, second moments) at the start of each experience.
        mapping: how tasks of a batch are run: ``vmap`` together, ``loop`` in turn, ``auto`` by device and network.
        chunk: at most so many tasks at once under ``vmap``.

    Example:
        >>> from functools import partial
        >>> OuterLoop(optimizer=partial(torch.optim.SGD, lr=0.1)).mapping
        'auto'
    """

    optimizer: OptimizerCallable = torch.optim.Adam
    scheduler: LRSchedulerCallable | None = None
    reset_optimizer: bool = False
    mapping: Mapping = "auto"
    chunk: int | None = None
