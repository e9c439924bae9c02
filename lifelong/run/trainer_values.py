"""Values of the Trainer's arguments that do not work with a stream: each is refused, with an alternative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lifelong.utilities.ranges import check_number

WHOLE = {"accumulate_grad_batches": 1, "num_nodes": 1, "log_every_n_steps": 0, "num_sanity_val_steps": -1}
"""Smallest allowed value of the integer arguments."""
LIMITS = {"fit": ("limit_train_batches", "limit_val_batches"), "validate": ("limit_val_batches",)}
LIMITS |= {"test": ("limit_test_batches",), "predict": ("limit_predict_batches",)}
"""For each command, the limits that must not be 0, as nothing would be done."""
OTHERS: dict[str, tuple[tuple[Any, ...], str]] = {
    "max_steps": (
        (-1,),
        "would end the stream in the middle of an experience, before that is evaluated: leave it out, and set "
        "--data.steps_per_experience, or --trainer.max_epochs to a number of experiences",
    ),
    "min_epochs": ((None, 0, 1), "has no meaning, as the stream ends with its last experience: leave it out"),
    "min_steps": ((None, 0), "has no meaning, as the stream ends with its last experience: leave it out"),
    "check_val_every_n_epoch": (
        (1,),
        "would leave rows of the accuracy matrix out: leave it out, and set --data.evaluate_every",
    ),
    "val_check_interval": (
        (None, 1.0),
        "would evaluate in the middle of an experience, whose row the accuracy matrix has once it is learnt: leave it "
        "out",
    ),
    "default_root_dir": ((None,), "is not where a run is kept: leave it out, and set --run.root and --run.name"),
}
"""Arguments that the stream sets itself: the values that change nothing, and why other values are refused."""


def check_trainer_values(command: str, arguments: Mapping[str, Any]) -> None:
    """Refuse values with which nothing would be learnt or evaluated, and values that no Trainer accepts.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        arguments: of Lightning's Trainer.

    Raises:
        ValueError: naming the option and an alternative.

    Example:
        >>> check_trainer_values("fit", {"max_epochs": 3, "limit_val_batches": 0.5})
    """
    for name, least in WHOLE.items():
        check_number(f"--trainer.{name}", arguments.get(name), least=least, whole=True)
    check_number("--trainer.gradient_clip_val", arguments.get("gradient_clip_val"), least=0, hint=", or null for none")
    for name in LIMITS[command]:
        _check_limit(name, arguments.get(name))
    _check_devices(arguments)
    if command != "fit":
        return
    if arguments.get("max_epochs") == 0:
        raise ValueError(
            "--trainer.max_epochs is 0, with which nothing is learnt: set it to a number of experiences, or -1 for "
            "all; to evaluate a checkpoint, use validate or test"
        )
    for name, (allowed, why) in OTHERS.items():
        if name in arguments and arguments[name] not in allowed:
            raise ValueError(f"--trainer.{name} {arguments[name]} {why}")
    _check_callbacks(arguments.get("callbacks"))


def _check_limit(name: str, value: Any) -> None:
    if value is None:
        return
    check_number(f"--trainer.{name}", value, above=0, hint=": a share of the batches, or a number of them from 1")
    if value > 1 and value != int(value):
        raise ValueError(f"--trainer.{name} is {value}: it must be a share below 1, or a whole number of batches")


def _check_devices(arguments: Mapping[str, Any]) -> None:
    devices = arguments.get("devices")
    if devices is None or devices == "auto":
        return
    given = devices if isinstance(devices, (list, tuple)) else [part for part in str(devices).split(",") if part]
    try:
        numbers = [int(number) for number in given]
    except ValueError:
        numbers = []
    is_many = isinstance(devices, (list, tuple)) or "," in str(devices)
    right = min(numbers, default=-1) >= 0 if is_many else len(numbers) == 1 and (numbers[0] >= 1 or numbers[0] == -1)
    if not right:
        raise ValueError(f"--trainer.devices is {devices}: it must be auto, a number from 1, or a list of GPUs")
    on_cpu = arguments.get("accelerator") == "cpu" or not torch.cuda.is_available()
    if numbers == [-1] and not is_many and on_cpu:
        raise ValueError(
            "--trainer.devices is -1, for all GPUs, and the run is on the CPU: set it to a number of processes, or auto"
        )


def _check_callbacks(callbacks: Any) -> None:
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in given:
        if not isinstance(callback, ModelCheckpoint) or callback.dirpath is not None:
            continue
        if callback.save_last or callback.save_weights_only:
            setting = "save_last" if callback.save_last else "save_weights_only"
            raise ValueError(
                f"ModelCheckpoint's {setting} would write into the run's own checkpoints/, from which it goes on: give "
                "it a dirpath of its own (--trainer.callbacks), or leave it out"
            )
