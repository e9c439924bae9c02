"""Creation of the objects of a run from its config."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn

import lightning as L
from jsonargparse import ArgumentParser

from lifelong.compute.runner import TaskRunner
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.optimizer import LRSchedulerCallable, OptimizerCallable
from lifelong.utilities import plugins


def make(kind: Any, name: str, config: Mapping[str, Any], argument: str) -> Any:
    """Create a part of a run.

    Args:
        kind: type of the part.
        name: name of the part in the config, such as ``model``.
        config: content of ``config.yaml``.
        argument: argument of ``lifelong.load`` that accepts the part, if the config cannot create it.

    Raises:
        ValueError: when it cannot be created.
    """
    if missing := missing_parts(config.get(name), name):
        raise ValueError(
            f"{missing[0]} could not be recorded when the run was started: give it as load(…, {argument}=…)"
        )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument(f"--{name}", type=kind, required=True)
    try:
        parsed = parser.parse_object({name: config.get(name)})
        return parser.instantiate(parsed)[name]
    except Exception as error:  # a user's class may raise anything
        reason = " ".join(str(error).split())[-300:]
        raise ValueError(
            f"{name} cannot be made from its config ({reason}): give it as load(…, {argument}=…)"
        ) from error


def missing_parts(value: Any, name: str) -> list[str]:
    """Return the names of the parts that a config could not record, which it marks as ``unrecorded``.

    Example:
        >>> missing_parts({"class_path": "MAML", "init_args": {"network": {"unrecorded": "Mine"}}}, "model")
        ['model.network (Mine)']
    """
    if isinstance(value, Mapping):
        if set(value) == {"unrecorded"}:
            return [f"{name} ({value['unrecorded']})"]
        parts = [(name if key == "init_args" else f"{name}.{key}", part) for key, part in value.items()]
    elif isinstance(value, list):
        parts = [(f"{name}[{place}]", part) for place, part in enumerate(value)]
    else:
        return []
    return [missing for inner, part in parts for missing in missing_parts(part, inner)]


def made_parts(
    config: Mapping[str, Any], learner: Learner | None = None, strategies: Sequence[Strategy] | None = None
) -> dict[str, Any]:
    """Create the parts of a stream module, by the names of its arguments.

    Args:
        config: their description in a config or a checkpoint.
        learner: the learner to use instead of that of the config.
        strategies: the strategies, likewise.

    Raises:
        ValueError: when a part cannot be created.
    """
    plugins.load()
    return {
        "learner": make(Learner, "model", config, "learner") if learner is None else learner,
        "strategies": make(list[Strategy], "strategies", config, "strategies") if strategies is None else strategies,
        **make_training(config),
    }


def make_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Create the other arguments of a :class:`~lifelong.training.stream_module.StreamModule`, such as its optimizer.

    A part that the config could not record raises an error only when it is used, so that the run can be loaded without
    it.

    Args:
        config: content of ``config.yaml``.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--optimizer", type=OptimizerCallable)
    parser.add_argument("--lr_scheduler", type=LRSchedulerCallable | None, default=None)
    parser.add_argument("--reset_optimizer", type=bool, default=False)
    parser.add_class_arguments(TaskRunner, "runner")
    given = {name: config[name] for name in ("optimizer", "lr_scheduler", "reset_optimizer") if name in config}
    given["runner"] = _arguments(config.get("runner", {}))
    unrecorded = {name: parts[0] for name, value in given.items() if (parts := missing_parts(value, name))}
    parsed = parser.parse_object({name: value for name, value in given.items() if name not in unrecorded})
    made: dict[str, Any] = parser.instantiate(parsed).as_dict()
    return made | {name: _Unrecorded(part) for name, part in unrecorded.items()}


def make_trainer_arguments(config: Mapping[str, Any], but: Container[str] = ()) -> dict[str, Any]:
    """Create the arguments of the Trainer of a run, including its loggers and callbacks.

    Args:
        config: content of ``config.yaml``.
        but: names of arguments to leave out, as they are set anew.

    Raises:
        ValueError: when an argument could not be recorded.
    """
    every = config.get("trainer", {})
    given = {name: value for name, value in every.items() if name != "default_root_dir" and name not in but}
    if missing := missing_parts(given, "trainer"):
        raise ValueError(f"{missing[0]} could not be recorded when the run was started: give it as an argument")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(L.Trainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True)
    made: dict[str, Any] = parser.instantiate(parser.parse_object({"trainer": given})).as_dict()["trainer"]
    return {name: value for name, value in made.items() if name in given}


def make_checkpoint(config: Mapping[str, Any]) -> StreamCheckpoint:
    """Create the callback that saves the checkpoints of a run.

    Args:
        config: content of ``config.yaml``.
    """
    return StreamCheckpoint(**config.get("checkpoint", {}))


def _arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    return dict(content.get("init_args", content))


class _Unrecorded:
    """Replace a factory that a config could not record; it raises an error when it is called."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __call__(self, *_: Any) -> NoReturn:
        raise ValueError(
            f"{self.part} could not be recorded when the run was started: set it on run.module before going on"
        )
