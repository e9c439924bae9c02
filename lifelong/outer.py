"""The outer loop: how meta-parameters are trained, the same settings for every learner."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Optimizer

from lifelong.mapping import Mapping
from lifelong.recompute import Recompute

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OuterLoop:
    """How the meta-parameters of a learner are trained.

    A training step keeps what a task and its inner steps computed until its gradients are known: of one task at a time
    in a loop (of all, where a strategy's penalty is differentiated through their outputs, or in half precision), of all
    under ``vmap``. ``recompute`` keeps less and computes it again: with ``steps`` every inner step keeps the parameters
    that it starts from, with ``tasks`` memory is that of one task (``chunk`` under ``vmap``), and with ``both`` that of
    one inner step of it. Losses and gradients stay as they are.

    Args:
        optimizer: makes the optimizer from the parameters.
        scheduler: makes the schedule of its learning rate, which moves on after every optimizer step; None keeps it.
        reset_optimizer: forget the optimizer's state (momentum, second moments) at the start of each experience.
        mapping: how tasks of a batch are run: ``vmap`` together, ``loop`` in turn, ``auto`` by device and network.
        chunk: at most so many tasks at once under ``vmap``; None runs all together.
        cuda_graph: replay training steps on a GPU as captured CUDA graphs, where the learner allows it and one process
            trains alone; None does so where ``auto`` measures that it is faster.
        recompute: what is run again in the backward pass to save memory: ``nothing``, each of the inner ``steps`` (of
            learners that train through them at second order), each of the ``tasks``, or ``both``.

    Raises:
        ValueError: when ``chunk`` is below 1.

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
    cuda_graph: bool | None = None
    recompute: Recompute = "nothing"

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"--model.outer.chunk is {self.chunk}: it must be at least 1")

    def recomputes(self, what: Literal["steps", "tasks"]) -> bool:
        """Whether these are run again in the backward pass."""
        return self.recompute in (what, "both")

    def make_optimizer(self, parameters: Iterable[nn.Parameter], *, fuse: bool = True) -> Optimizer:
        """The optimizer of these parameters, which moves them all in one fused step where it can and is left free to.

        Args:
            parameters: what is trained.
            fuse: False where gradients are sparse, which fused steps refuse.
        """
        optimizer = self.optimizer(parameters)
        for group in optimizer.param_groups:
            if fuse and type(optimizer) in FUSED and _is_free(group):
                group["fused"] = True
        chosen = [
            {name: group[name] for name in ("fused", "foreach") if name in group} for group in optimizer.param_groups
        ]
        optimizer.register_load_state_dict_post_hook(partial(_settle_loaded, chosen=chosen))
        return optimizer


FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
"""Optimizers whose fused step is at home on CPUs and on CUDA."""


def _is_free(group: dict[str, Any]) -> bool:
    """Whether a group chose none of torch's ways to step, and its parameters allow the fused one."""
    fits = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in group["params"])
    return fits and group["fused"] is None and group["foreach"] is None and not group["differentiable"]


def _settle_loaded(optimizer: Optimizer, chosen: Sequence[dict[Any, Any]]) -> None:
    """After a checkpoint: step as this run chose, with the state laid out as this run's parameters are."""
    for group, choice in zip(optimizer.param_groups, chosen, strict=True):
        group.update(choice)
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = laid_out_as(parameter, value)
                elif name == "step" and choice.get("fused"):
                    state[name] = value.to(parameter.device)


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """A gradient, or an average of such, with its parameter's strides: fused steps on a CPU assume them (torch 2.13).

    Args:
        parameter: of any memory format.
        gradient: of the same shape.

    Example:
        >>> weight = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)
        >>> laid_out_as(weight, torch.ones(2, 3, 4, 4)).stride() == weight.stride()
        True
    """
    assert gradient.shape == parameter.shape
    same = gradient.stride() == parameter.stride()
    return gradient if same else torch.empty_like(parameter).copy_(gradient)


def check_schedule(scheduler: Any, n_steps: int) -> None:
    """Refuse a schedule that cannot move on by steps, and warn of one that is made for another number of them.

    Args:
        scheduler: of the optimizer's learning rate.
        n_steps: optimizer steps of the whole stream.

    Raises:
        ValueError: when the schedule waits for a measurement.
    """
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau waits for a measurement, but schedules move on after every step of the stream: choose "
            "another --model.outer.scheduler, such as StepLR or CosineAnnealingLR"
        )
    for name in ("T_max", "total_steps"):
        asked = getattr(scheduler, name, None)
        if asked is not None and asked != n_steps:
            log.warning(
                "the schedule is made for %d steps, but the stream has %d: set --model.outer.scheduler.%s %d",
                asked,
                n_steps,
                name,
                n_steps,
            )
