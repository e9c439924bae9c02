"""What must fit together before a step is taken: a learner, its network, its strategies and the data."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lifelong.mapping import has_running_statistics
from lifelong.objective import TaskKind
from lifelong.stream import Stream

if TYPE_CHECKING:
    from lifelong.learner import Learner
    from lifelong.streaming import Unit

STREAMS = {"tasks": "few-shot tasks", "examples": "labelled examples"}
"""What each unit is called in messages."""


def check_compatible(learner: Learner, data: Any) -> None:
    """Refuse, in one sentence with the way out, what cannot be trained together.

    Args:
        learner: with its strategies.
        data: a :class:`~lifelong.streaming.StreamDataModule`.

    Raises:
        ValueError: when learner or strategies need other units than the data has, or boundaries that it has not, the
            learner is made for other targets, or the network cannot be mapped as asked for.
    """
    _check_units(learner, data.unit)
    _check_strategies(learner, data)
    if not data.has_boundaries:
        _check_needs_no_boundaries(learner)
    _check_targets(learner, data.stream)
    if learner.outer.mapping == "vmap" and has_running_statistics(learner.network):
        raise ValueError(
            f"norm layers of {type(learner.network).__name__} update running statistics in place, which vmap cannot "
            "do: set --model.outer.mapping loop, or another norm (--model.network.norm)"
        )


def _check_units(learner: Learner, unit: Unit) -> None:
    name = type(learner).__name__
    if learner.unit != unit:
        other = "--model Classifier" if unit == "examples" else "another learner, such as --model ProtoNet"
        raise ValueError(
            f"{name} learns from {STREAMS[learner.unit]}, but this stream is one of {STREAMS[unit]}: choose {other}, "
            "or other --data"
        )


def _check_strategies(learner: Learner, data: Any) -> None:
    for strategy in learner.strategies:
        if data.kind not in strategy.streams:
            made_for = ", ".join(sorted(strategy.streams))
            raise ValueError(
                f"{type(strategy).__name__} is made for streams of the kind {made_for}, and this one is {data.kind}: "
                "leave it out of --strategies, or choose other --data (such as another --data.scenario)"
            )


def _check_needs_no_boundaries(learner: Learner) -> None:
    memory = "leave it out of --strategies (a memory does without by its policy reservoir and weighting equal)"
    found = [(type(strategy).__name__, memory) for strategy in learner.strategies if strategy.needs_boundaries]
    if learner.needs_boundaries:
        found.append((type(learner).__name__, "choose another --model"))
    if learner.outer.reset_optimizer:
        found.append(("--model.outer.reset_optimizer", "set it to false"))
    for name, way_out in found:
        raise ValueError(
            f"{name} works where experiences begin or end, and in this stream nobody is told where that is: {way_out}, "
            "or leave --data.fade out"
        )


def _check_targets(learner: Learner, stream: Stream) -> None:
    for pool in (pool for experience in stream.experiences for pool in experience.pools):
        found: TaskKind = "regression" if pool.is_regression else "classification"
        if learner.objective.task in (None, found):
            continue
        way_out = f"set --model.task {found}"
        if "task" not in inspect.signature(type(learner)).parameters:
            way_out = f"choose another learner, such as lifelong.learners.MAML with --model.task {found}"
        raise ValueError(
            f"{pool.name} has {'real targets' if pool.is_regression else 'classes'}, but {type(learner).__name__} is "
            f"made for {learner.objective.task}: {way_out}"
        )
