"""The log of a training step: which steps are logged, and which values."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.learners.base import Learner
from lifelong.strategy import Chain, Step


def is_logged(trainer: L.Trainer, learner: Learner, number: int) -> bool:
    """Return whether a training step is logged: the first of an experience, and every ``log_every_n_steps``-th one.

    For a small network, logging takes as long as the forward pass, so the other steps are not logged.

    Args:
        trainer: the Trainer, with its logging interval.
        learner: the learner. A closed-form learner makes no optimizer steps, so its batches are counted.
        number: index of the step in its experience.
    """
    loop: Any = trainer.fit_loop
    n_before = trainer.global_step if learner.is_trained else loop.total_batch_idx
    return number == 0 or (n_before + 1) % max(trainer.log_every_n_steps, 1) == 0  # type: ignore[attr-defined]


def step_measures(
    learner: Learner, strategies: Chain, step: Step, penalty: Tensor | None, *, runner: TaskRunner
) -> dict[str, Any]:
    """Return the logged values of a step: mean loss and score, the penalty, and the strategies' measures.

    Loss, score and penalty are means over the tasks of all processes, which must all call this at the same steps.

    Args:
        learner: the learner.
        strategies: its strategies.
        step: the step, with losses and outputs.
        penalty: the strategies' penalty. None if there is none.
        runner: averages over the processes.
    """
    losses, scores = step.losses.detach(), learner.scores_of(step.outputs.detach(), step.batch)
    values: dict[str, Any] = {"train/loss": _mean(losses, runner), "train/score": _mean(scores, runner)}
    if penalty is not None:
        values["train/penalty"] = _mean(penalty.detach()[None], runner)
    if strategies.overrides("training_measures"):
        measures = strategies.training_measures(learner, step, runner=runner)
        values |= {f"train/{name}": value for name, value in measures.items()}
    return values


def _mean(values: Tensor, runner: TaskRunner) -> Tensor:
    """Return the mean over the tasks of all processes, whose numbers of tasks may differ."""
    if runner.world == 1:
        return values.mean()
    total, number = runner.sum(torch.stack([values.double().sum(), values.new_tensor(values.numel()).double()]))
    mean: Tensor = (total / number).to(values.dtype)
    return mean
