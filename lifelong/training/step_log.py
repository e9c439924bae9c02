"""The log of a training step: which steps are logged, and what of them."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.learners.base import Learner
from lifelong.strategy import Chain, Step


def is_logged(trainer: L.Trainer, learner: Learner, number: int) -> bool:
    """Tell whether a training step is logged: the first of an experience, and those that the Trainer's loggers write.

    For a small network logging takes as long as the forward pass, so no other step is.

    Args:
        trainer: says how often its loggers write.
        learner: what is trained; one in closed form makes no optimizer steps, and its batches count.
        number: of the step in its experience, from 0.
    """
    loop: Any = trainer.fit_loop
    n_before = trainer.global_step if learner.is_trained else loop.total_batch_idx
    return number == 0 or (n_before + 1) % max(trainer.log_every_n_steps, 1) == 0  # type: ignore[attr-defined]


def step_measures(
    learner: Learner, strategies: Chain, step: Step, penalty: Tensor | None, *, runner: TaskRunner
) -> dict[str, Any]:
    """Return what is logged of a step: the mean loss and score of its tasks, the penalty, the strategies' measures.

    Loss, score and penalty are means over the tasks of all processes, which all call this at the same steps.

    Args:
        learner: what is trained.
        strategies: its strategies.
        step: the step, with losses and outputs.
        penalty: what the strategies added to the loss; None where nothing.
        runner: how tasks are run.
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
    """The mean over the tasks of all processes, which may have different numbers of them."""
    if runner.world == 1:
        return values.mean()
    total, number = runner.sum(torch.stack([values.double().sum(), values.new_tensor(values.numel()).double()]))
    mean: Tensor = (total / number).to(values.dtype)
    return mean
