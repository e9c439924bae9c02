"""Options, class paths and settings that have another name now: each answers with it in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

OPTIONS = {
    "seed_everything": "seed",
    "model.outer.optimizer": "optimizer",
    "model.outer.scheduler": "lr_scheduler",
    "model.outer.reset_optimizer": "reset_optimizer",
    "model.outer.mapping": "runner.plan",
    "model.outer.chunk": "runner.chunk",
    "model.outer.cuda_graph": "runner.cuda_graph",
    "model.outer.recompute": "runner.recompute",
    "strategies.budget_examples": "strategies.budget.examples",
    "strategies.budget_bytes": "strategies.budget.bytes",
    "strategies.budget_per_class": "strategies.budget.per_class",
}
"""The old name of an option and the new one; what follows the name (``.lr``) follows the new one."""
PATHS = {
    "lifelong.datamodule.EpisodicDataModule": "datamodules.EpisodicDataModule",
    "lifelong.examples.ExampleDataModule": "datamodules.ExampleDataModule",
    "lifelong.loggers.WandB": "lifelong.run.loggers.WandB",
    "lifelong.progress.StreamProgress": "lifelong.run.progress.StreamProgress",
    "lifelong.learner.Learner": "lifelong.learners.base.Learner",
    "lifelong.outer.OuterLoop": "lifelong.TaskRunner and --optimizer",
}
"""The old path of a class and the new one."""


def check_options(options: Sequence[str]) -> None:
    """Refuse an option, or the path of a class, by a name that it no longer has.

    Raises:
        ValueError: with the new name.

    Example:
        >>> check_options(["--seed", "1", "--model", "MAML"])
    """
    for option in options:
        name = option.removeprefix("--").split("=", 1)[0].rstrip("+")
        for old, new in OPTIONS.items():
            if option.startswith("--") and (name == old or name.startswith(f"{old}.")):
                raise ValueError(f"--{name} is now --{new}{name.removeprefix(old)}")
        _check_path(option)
        if match := re.search(r"budget_(examples|bytes|per_class)", option):
            raise ValueError(f"{match.group()} is now budget.{match.group(1)}, as in budget: {{{match.group(1)}: 500}}")


def check_config(config: Mapping[str, Any], file: str) -> None:
    """Refuse a config with an option, or the path of a class, by a name that it no longer has.

    Args:
        config: what was read.
        file: from where.

    Raises:
        ValueError: with the new name.

    Example:
        >>> check_config({"seed": 0, "model": "ProtoNet"}, "a.yaml")
    """
    try:
        _check_tree(config, "")
    except ValueError as error:
        raise ValueError(f"the config {file} was written for an earlier version: {error}") from None


def _check_tree(value: Any, name: str) -> None:
    if isinstance(value, str):
        _check_path(value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            inner = name if key == "init_args" else f"{name}.{key}".lstrip(".")
            if inner in OPTIONS and (part is not None or inner == "seed_everything"):
                raise ValueError(f"{inner} is now {OPTIONS[inner]}")
            if match := re.fullmatch(r"budget_(examples|bytes|per_class)", str(key)):
                raise ValueError(f"{inner} is now {name}.budget.{match.group(1)}")
            if key == "outer" and name == "model":
                part = part.get("init_args", part) if isinstance(part, Mapping) else part
            _check_tree(part, inner)
    elif isinstance(value, list):
        for part in value:
            _check_tree(part, name)


def _check_path(text: str) -> None:
    for old, new in PATHS.items():
        if re.search(rf"(?<![\w.]){re.escape(old)}(?!\w)", text):
            raise ValueError(f"{old} is now {new}")
