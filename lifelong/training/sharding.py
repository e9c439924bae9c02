"""Checks of the Trainer's strategy for several devices."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import nn

SHARDED = (FSDPStrategy, DeepSpeedStrategy, ModelParallelStrategy)
NAMES = ("fsdp", "deepspeed")
"""Prefixes of the names of sharding strategies."""


def check_not_sharded(strategy: Any) -> None:
    """Refuse Trainer strategies that store only a part of the weights in each process.

    Strategies against forgetting and learners read all parameters of a network in each process. Checkpoints of a
    sharded network also have another format, from which a run cannot resume exactly.

    Args:
        strategy: strategy of Lightning's Trainer, or its name.

    Raises:
        ValueError: when it is FSDP, DeepSpeed or model parallelism.

    Example:
        >>> check_not_sharded("ddp")
    """
    if isinstance(strategy, SHARDED) or (isinstance(strategy, str) and strategy.lower().startswith(NAMES)):
        name = strategy if isinstance(strategy, str) else type(strategy).__name__
        raise ValueError(
            f"--trainer.strategy {name} keeps a part of the weights in each process, and no run goes on exactly from a "
            "checkpoint of that: set --trainer.strategy ddp"
        )


def check_has_parameters(learner: nn.Module, strategies: nn.Module, strategy: Any) -> None:
    """Refuse several processes if there are no parameters, with a clearer message than torch's DDP.

    Args:
        learner: the learner to train.
        strategies: its strategies, which may have parameters.
        strategy: strategy of Lightning's Trainer.

    Raises:
        ValueError: when there are no parameters.

    Example:
        >>> check_has_parameters(nn.Identity(), nn.Linear(2, 1), DDPStrategy())
    """
    parameters = (*learner.parameters(), *strategies.parameters())
    if isinstance(strategy, DDPStrategy) and not any(parameter.requires_grad for parameter in parameters):
        raise ValueError(
            f"{type(learner).__name__} has no parameter whose gradient processes could share, and is learnt from sums "
            "alone: set --trainer.strategy auto and --trainer.devices 1"
        )
