"""The outer optimizer, which trains the meta-parameters of every learner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lifelong.utilities.ranges import check_number

log = logging.getLogger(__name__)

OptimizerCallable = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Creates an optimizer for parameters, such as ``functools.partial(torch.optim.Adam, lr=1e-3)``."""
LRSchedulerCallable = Callable[[Optimizer], LRScheduler]
"""Creates a learning-rate schedule for an optimizer, such as ``functools.partial(StepLR, step_size=100)``."""


def make_optimizer(optimizer: OptimizerCallable, parameters: Iterable[nn.Parameter], *, fuse: bool = True) -> Optimizer:
    """Create the optimizer, with torch's fused implementation where available, unless the user chose another one.

    Args:
        optimizer: creates the optimizer.
        parameters: parameters to train.
        fuse: False if gradients are sparse, which fused steps do not support.

    Example:
        >>> make_optimizer(torch.optim.SGD, [nn.Parameter(torch.zeros(2))]).param_groups[0]["fused"]
        True
    """
    try:
        made = optimizer(parameters)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--optimizer cannot be made ({_one_line(error)}): set another value for it") from error
    for number, group in enumerate(made.param_groups):
        if fuse and type(made) in FUSED and _is_free(group):
            group["fused"] = True
            if group.get("momentum"):
                made.register_step_pre_hook(partial(_fuse_where_alike, number))
    chosen = [{name: group[name] for name in ("fused", "foreach") if name in group} for group in made.param_groups]
    made.register_load_state_dict_pre_hook(_without_foreign)
    made.register_load_state_dict_post_hook(partial(_settle_loaded, chosen=chosen))
    return made


def make_scheduler(scheduler: LRSchedulerCallable, optimizer: Optimizer) -> LRScheduler:
    """Create the learning-rate schedule of an optimizer.

    Args:
        scheduler: creates the schedule.
        optimizer: the optimizer whose learning rate is scheduled.

    Raises:
        ValueError: when its settings are invalid.
    """
    try:
        return scheduler(optimizer)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"--lr_scheduler cannot be made ({_one_line(error)}): set another value for it") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fuse_where_alike(
    number: int, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Do not fuse a step of SGD if parameters got their first gradients at different steps (a limit of torch 2.13)."""
    given = args[1] if len(args) > 1 else kwargs.get("closure")

    def settle() -> Any:
        loss = given() if given is not None else None  # the closure computes the gradients, if there is one
        group = optimizer.param_groups[number]
        moved = [p for p in group["params"] if p.grad is not None]
        group["fused"] = len({optimizer.state.get(p, {}).get("momentum_buffer") is None for p in moved}) < 2
        return loss

    if given is None:
        settle()
        return args, kwargs
    return (args[0], settle, *args[2:]), {name: value for name, value in kwargs.items() if name != "closure"}


FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
"""Optimizers with a fused step on CPUs and CUDA."""


def _is_free(group: dict[str, Any]) -> bool:
    """Return whether a group selects none of torch's implementations, and its parameters support the fused one."""
    fits = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in group["params"])
    return fits and group["fused"] is None and group["foreach"] is None and not group["differentiable"]


def plain_settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return the settings of each parameter group that are plain values, for checkpoints.

    Example:
        >>> plain_settings(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.5))[0]["lr"]
        0.5
    """
    plain = (bool, int, float, str, tuple, type(None))
    return [{name: v for name, v in group.items() if isinstance(v, plain)} for group in optimizer.param_groups]


def renew_settings(
    optimizer: Optimizer, before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], *, scheduled: bool
) -> None:
    """Update the settings of a resumed optimizer that the user has changed since the checkpoint.

    Values that training itself has changed, such as a learning rate lowered by a callback, stay as in the checkpoint.

    Args:
        optimizer: the optimizer, with the state of the checkpoint.
        before: its :func:`plain_settings` when it was created for the checkpoint.
        now: its :func:`plain_settings` as created now.
        scheduled: whether a schedule sets the learning rate, which is then not updated.
    """
    for group, theirs, ours in zip(optimizer.param_groups, before, now, strict=False):
        changed = {name: value for name, value in ours.items() if theirs.get(name, value) != value}
        if scheduled and "lr" in changed:
            log.warning("the schedule goes on with the learning rate of the checkpoint, not with %s", changed.pop("lr"))
        group.update(changed)


def _without_foreign(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any] | None:
    """Ignore the state of another type of optimizer in a checkpoint."""
    ours, theirs = (set(groups[0]) - {"initial_lr"} for groups in (optimizer.param_groups, state["param_groups"]))
    if ours == theirs:
        return None
    log.warning("the checkpoint is of another optimizer than %s, whose state starts anew", type(optimizer).__name__)
    return optimizer.state_dict()


def _settle_loaded(optimizer: Optimizer, chosen: Sequence[dict[Any, Any]]) -> None:
    """Restore this run's implementation and memory layout after the state of a checkpoint was loaded."""
    for group, choice in zip(optimizer.param_groups, chosen, strict=True):
        group.update(choice)
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if choice.get("fused") and isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].to(parameter.device)
    lay_out_state(optimizer)


def lay_out_state(optimizer: Optimizer) -> None:
    """Give the optimizer's state the strides of its parameters, which fused steps on a CPU require (torch 2.13).

    Example:
        >>> weight = nn.Parameter(torch.ones(2, 3, 4, 4))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
        >>> weight.grad = torch.ones(2, 3, 4, 4)
        >>> optimizer.step()
        >>> weight.data = weight.data.to(memory_format=torch.channels_last)
        >>> lay_out_state(optimizer)
        >>> optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()
        True
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = laid_out_as(parameter, value)


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient, or an average of gradients, with the strides of its parameter, for fused steps on a CPU.

    Args:
        parameter: a parameter of any memory format.
        gradient: a gradient of the same shape.

    Example:
        >>> weight = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)
        >>> laid_out_as(weight, torch.ones(2, 3, 4, 4)).stride() == weight.stride()
        True
    """
    assert gradient.shape == parameter.shape
    same = gradient.stride() == parameter.stride()
    return gradient if same else torch.empty_like(parameter).copy_(gradient)


def check_schedule(scheduler: Any, n_steps: int) -> None:
    """Refuse a schedule that cannot be stepped by optimizer steps, and warn if it is for another number of steps.

    Args:
        scheduler: the learning-rate schedule.
        n_steps: optimizer steps of the whole stream.

    Raises:
        ValueError: when the schedule needs a metric.
    """
    for name in ("step_size", "T_max", "T_0"):
        check_number(f"--lr_scheduler.{name}", getattr(scheduler, name, None), above=0, hint=" optimizer steps")
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau waits for a measurement, but schedules move on after every step of the stream: choose "
            "another --lr_scheduler, such as StepLR or CosineAnnealingLR"
        )
    for name in ("T_max", "total_steps"):
        asked = getattr(scheduler, name, None)
        if name == "total_steps" and asked is not None and asked < n_steps:
            raise ValueError(
                f"the schedule ends after {asked} steps, and the stream has {n_steps}: set "
                f"--lr_scheduler.total_steps {n_steps}"
            )
        if asked is not None and asked != n_steps:
            log.warning(
                "the schedule is made for %d steps, but the stream has %d: set --lr_scheduler.%s %d",
                asked,
                n_steps,
                name,
                n_steps,
            )


def set_gradients(parameters: Mapping[str, nn.Parameter], gradients: Mapping[str, Tensor]) -> None:
    """Set the gradients of parameters by name, with the parameters' strides; a parameter without one is not updated.

    Args:
        parameters: parameters by name.
        gradients: gradients by the same names.

    Example:
        >>> weights = {"a": nn.Parameter(torch.zeros(2)), "b": nn.Parameter(torch.zeros(2))}
        >>> set_gradients(weights, {"a": torch.ones(2)})
        >>> weights["a"].grad, weights["b"].grad
        (tensor([1., 1.]), None)
    """
    for name, parameter in parameters.items():
        gradient = gradients.get(name)
        parameter.grad = None if gradient is None else laid_out_as(parameter, gradient)
