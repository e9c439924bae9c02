"""What a checkpoint says of itself: how learner and strategies are made, what they were taught, how inputs are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_data import StreamData
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from lifelong.utilities.recording import record, record_factory

PARTS = ("model", "strategies", "optimizer", "lr_scheduler", "reset_optimizer", "runner")
"""Options of a run by which its module is made."""


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
    """Write down how the parts of a stream module were made, as a config has them.

    Args:
        learner: what is trained.
        strategies: its plug-ins.
        unrecorded: collects the names of what cannot be written down.
        optimizer: makes the outer optimizer.
        lr_scheduler: makes its schedule.
        reset_optimizer: whether it forgets its state at each experience.
        runner: how tasks are run.
        to_load: they are made again to be given the state of a checkpoint: files of weights are left out.
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
    """Return what a config says of the parts of a stream module."""
    return {name: config[name] for name in PARTS if name in config}


def describe_stream(data: StreamData, n_learnt: int, reader: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write down what a stream teaches, and how a person's own inputs are read as those of the stream.

    Args:
        data: the stream.
        n_learnt: so many of its experiences are begun.
        reader: the record of the reader that is kept where the stream has none, as its first data may be gone.
    """
    made = data.reader()
    kept = reader if made is None else without_device(record(made, "reader", []))
    return {"stream": data.record(n_learnt).to_dict(), "reader": kept}


def without_device(content: Any) -> Any:
    """Return the record of a reader without the device of an encoder: who reads with it elsewhere may not have that.

    Args:
        content: plain data.

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
