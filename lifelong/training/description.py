"""A checkpoint's record: how learner and strategies are created, what they were taught, and how inputs are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_data import StreamData
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.utilities.recording import record, record_factory

PARTS = ("model", "strategies", "optimizer", "lr_scheduler", "reset_optimizer", "runner")
"""Options of a run from which its module is created."""


def describe_parts(
    learner: Learner,
    strategies: Sequence[Strategy],
    unrecorded: list[str],
    *,
    optimizer: Callable[..., Any],
    lr_scheduler: Callable[..., Any] | None,
    reset_optimizer: bool,
    runner: TaskRunner,
    to_load: bool = False,
) -> dict[str, Any]:
    """Record how the parts of a stream module were created, in the form of a config.

    Args:
        learner: the learner.
        strategies: its strategies.
        unrecorded: list that collects the names of what cannot be recorded.
        optimizer: creates the outer optimizer.
        lr_scheduler: creates its learning-rate schedule.
        reset_optimizer: whether the optimizer's state is reset at each experience.
        runner: how tasks are run.
        to_load: record the parts for loading a checkpoint: files of initial weights are left out.
    """
    return {
        "model": record(learner, "model", unrecorded, to_load=to_load),
        "strategies": [record(s, f"strategies[{n}]", unrecorded, to_load=to_load) for n, s in enumerate(strategies)],
        "optimizer": record_factory(optimizer, "optimizer", unrecorded),
        "lr_scheduler": record_factory(lr_scheduler, "lr_scheduler", unrecorded),
        "reset_optimizer": reset_optimizer,
        "runner": record(runner, "runner", unrecorded),
    }


def parts_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a config that describes the parts of a stream module."""
    return {name: config[name] for name in PARTS if name in config}


def describe_stream(data: StreamData, n_learnt: int, reader: Mapping[str, Any] | None) -> dict[str, Any]:
    """Record what a stream teaches, and how a user's own inputs are read like those of the stream.

    Args:
        data: the stream.
        n_learnt: number of experiences that have begun.
        reader: earlier record of the reader. It is kept if the stream has no reader, as its first data may be
            unavailable.
    """
    made = data.reader()
    kept = reader if made is None else without_device(record(made, "reader", []))
    return {"stream": data.record(n_learnt).to_dict(), "reader": kept}


def without_device(content: Any) -> Any:
    """Return the record of a reader without the device of an encoder, which other machines may not have.

    Args:
        content: the record, as plain data.

    Example:
        >>> without_device({"class_path": "mine.Encoder", "init_args": {"device": "cuda:1", "batch_size": 2}})
        {'class_path': 'mine.Encoder', 'init_args': {'batch_size': 2}}
    """
    if isinstance(content, list):
        return [without_device(part) for part in content]
    if not isinstance(content, Mapping):
        return content
    left_out = ("device",) if "class_path" not in content else ()
    return {name: without_device(part) for name, part in content.items() if name not in left_out}
