"""Checks before training that a learner, its network, its strategies, the data and the runner fit together."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.plan import has_running_statistics
from lifelong.compute.runner import TaskRunner
from lifelong.data.kinds import Unit
from lifelong.data.stream import Stream
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from lifelong.learners.objective import TaskKind
from lifelong.strategy import Chain, Strategy, overrides

STREAMS = {"tasks": "few-shot tasks", "examples": "labelled examples"}
"""Name of each unit in messages."""
TRAINING_HOOKS = ("rehearse", "loss_weight", "penalty", "observe", "project", "stepped", "route")
"""Hooks by which a strategy affects training."""


def check_compatible(
    learner: Learner, strategies: Chain, data: StreamDataModule, *, runner: TaskRunner, reset_optimizer: bool
) -> None:
    """Refuse, in one sentence that names a solution, what cannot be trained together.

    Args:
        learner: the learner to train.
        strategies: its strategies.
        data: the stream.
        runner: how tasks are run.
        reset_optimizer: whether the optimizer's state is reset at the start of each experience.

    Raises:
        ValueError: when the learner or a strategy needs other units (tasks or examples) or boundaries than the data
            have, the learner is for other targets, or the tasks cannot be run as requested.
    """
    _check_units(learner, data.unit)
    _check_strategies(learner, strategies, data)
    if not data.has_boundaries:
        _check_needs_no_boundaries(learner, strategies, reset_optimizer)
    _check_targets(learner, data.stream)
    _check_runner(learner, runner)


def check_experiences(learner: Learner, strategies: Strategy, data: StreamDataModule) -> None:
    """Let strategies refuse experiences that they cannot be trained on, for instance if a budget is too small.

    Args:
        learner: the learner to train.
        strategies: its strategies.
        data: the stream. The experiences that are to be trained on and have data are checked.

    Raises:
        ValueError: when a strategy refuses an experience.
    """
    due = [number for number in range(data.n_experiences_due) if data.begins(number)]
    visits = [data.visit(n, torch.device("cpu"), learner.dtype) for n in due if n not in data.stream.absent]
    if visits:
        strategies.check(learner, visits)


def check_example(learner: Learner, example: Tensor, domain: str) -> None:
    """Refuse integer inputs, which are treated as tokens, if the network does not accept them.

    Args:
        learner: the learner with the network.
        example: ``(n, *X)``, a few inputs.
        domain: name of their domain.

    Raises:
        ValueError: naming the network.
    """
    if example.is_floating_point():
        return
    try:
        with evaluating(learner.network), torch.no_grad():
            learner.network(example)
    except (RuntimeError, TypeError) as error:
        kind, network = str(example.dtype).removeprefix("torch."), type(learner.network).__name__
        raise ValueError(
            f"the inputs of {domain} are whole numbers ({kind}), which are taken for tokens, and {network} cannot take "
            "them: give measurements as floats, such as x.astype('float32'), and images as uint8"
        ) from error


def _check_runner(learner: Learner, runner: TaskRunner) -> None:
    name = type(learner).__name__
    if runner.plan == "vmap" and not learner.takes_vmap:
        raise ValueError(f"the modules of {name} cannot run under vmap: set --runner.plan loop")
    if runner.plan == "vmap" and any(not getattr(part, "takes_vmap", True) for part in learner.network.modules()):
        raise ValueError(f"vmap cannot run the adapters of {type(learner.network).__name__}: set --runner.plan loop")
    if runner.plan == "vmap" and has_running_statistics(learner.network):
        raise ValueError(
            f"norm layers of {type(learner.network).__name__} update running statistics in place, which vmap cannot "
            "do: set --runner.plan loop, or another norm (--model.network.norm)"
        )
    if runner.recompute != "nothing" and not learner.takes_vmap:
        raise ValueError(f"the steps of {name} cannot be run again by themselves: leave --runner.recompute out")
    if runner.recomputes("tasks") and has_running_statistics(learner.network):
        raise ValueError(
            f"--runner.recompute is {runner.recompute}, which runs tasks twice, and running statistics would count "
            "them twice: choose another norm (--model.network.norm batch, group, layer or instance) or leave it out"
        )


def _check_units(learner: Learner, unit: Unit) -> None:
    name = type(learner).__name__
    if learner.unit != unit:
        other = "--model Classifier" if unit == "examples" else "another learner, such as --model ProtoNet"
        raise ValueError(
            f"{name} learns from {STREAMS[learner.unit]}, but this stream is one of {STREAMS[unit]}: choose {other}, "
            "or other --data"
        )


def _check_strategies(learner: Learner, strategies: Chain, data: StreamDataModule) -> None:
    for strategy in strategies:
        if data.kind not in strategy.streams:
            made_for = ", ".join(sorted(strategy.streams))
            raise ValueError(
                f"{type(strategy).__name__} is made for streams of the kind {made_for}, and this one is {data.kind}: "
                "leave it out of --strategies, or choose other --data (such as another --data.scenario)"
            )
        if not learner.is_trained and any(overrides(strategy, hook) for hook in TRAINING_HOOKS):
            raise ValueError(
                f"{type(learner).__name__} trains nothing here, so {type(strategy).__name__} has nothing to protect: "
                "leave it out of --strategies, or choose another --model"
            )


def _check_needs_no_boundaries(learner: Learner, strategies: Chain, reset_optimizer: bool) -> None:
    memory = "leave it out of --strategies (a memory needs none with policy reservoir and weighting equal)"
    refused = [(type(strategy).__name__, memory) for strategy in strategies if strategy.needs_boundaries]
    if learner.needs_boundaries:
        refused.append((type(learner).__name__, "choose another --model"))
    if reset_optimizer:
        refused.append(("--reset_optimizer", "set it to false"))
    for name, way_out in refused:
        raise ValueError(
            f"{name} needs the boundaries of experiences, and this stream has none: {way_out}, or leave --data.fade out"
        )


def _check_targets(learner: Learner, stream: Stream) -> None:
    for pool in (pool for experience in stream.experiences for pool in experience.pools):
        task: TaskKind = "regression" if pool.is_regression else "classification"
        if learner.objective.task in (None, task):
            continue
        way_out = f"set --model.task {task}"
        if "task" not in inspect.signature(type(learner)).parameters:
            way_out = f"choose another learner, such as lifelong.learners.MAML with --model.task {task}"
        raise ValueError(
            f"{pool.name} has {'real targets' if pool.is_regression else 'classes'}, but {type(learner).__name__} is "
            f"made for {learner.objective.task}: {way_out}"
        )
