"""Which of the Trainer's ways over several devices a stream can be learnt by."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import nn

SHARDED = (FSDPStrategy, DeepSpeedStrategy, ModelParallelStrategy)
NAMES = ("fsdp", "deepspeed")
"""How the names of such strategies begin."""


def check_not_sharded(strategy: Any) -> None:
    """Refuse strategies of the Trainer that keep a part of the weights in each process.

    Strategies against forgetting, and learners, read all parameters of a network in each process, and checkpoints of a
    sharded one are of another form, from which no run here goes on exactly.

    Args:
        strategy: of Lightning's Trainer, or its name.

    Raises:
        ValueError: when it is FSDP, DeepSpeed or model parallel.

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
    """Refuse processes that share gradients where nothing has one, as torch's DDP does in words of its own.

    Args:
        learner: as it is trained.
        strategies: that may have parameters of their own.
        strategy: of Lightning's Trainer.

    Raises:
        ValueError: when there is none.

    Example:
        >>> check_has_parameters(nn.Identity(), nn.Linear(2, 1), DDPStrategy())
    """
    parameters = (*learner.parameters(), *strategies.parameters())
    if isinstance(strategy, DDPStrategy) and not any(parameter.requires_grad for parameter in parameters):
        raise ValueError(
            f"{type(learner).__name__} has no parameter whose gradient processes could share, and is learnt from sums "
            "alone: set --trainer.strategy auto and --trainer.devices 1"
        )
