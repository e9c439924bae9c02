"""The adaptation curve: the score after each inner step.

Shapes: ``B`` tasks, ``K`` steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation import plots
from lifelong.evaluation.after_evaluation import AfterEvaluation, is_last_evaluation, title_of
from lifelong.evaluation.batch_collector import BatchCollector
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.evaluator import all_units
from lifelong.evaluation.intervals import Scores, interval, mean_and_variance, ragged, sum_of_means
from lifelong.learners.base import Learner
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.ranges import check_number


@runtime_checkable
class AdaptsInSteps(Protocol):
    """A learner that adapts to a support set in steps."""

    def trajectory(self, params: Params, support_x: Tensor, support_y: Tensor, n_steps: int) -> Sequence[Any]:
        """Return the states after 0, 1, …, ``n_steps`` inner steps on one support set."""


class AdaptationCurve(BatchCollector, AfterEvaluation):
    """Measure the score after 0, 1, …, ``K`` inner steps on the evaluation tasks of every domain.

    It works with learners that adapt in steps and have a ``trajectory`` method (MAML and its variants, LinearProbe,
    FineTuning). Means and 95 % intervals are written to ``adaptation_curve_<part>.json``, and a figure to
    ``adaptation_curve_<part>.png`` and to the loggers. In ``fit`` it runs after the last experience only. On the
    command line of ``fit``, ``validate`` and ``test``, add
    ``--trainer.callbacks+=lifelong.evaluation.AdaptationCurve --trainer.callbacks.n_steps=20``.

    Args:
        n_steps: number of inner steps ``K``.

    Raises:
        ValueError: when the learner has no ``trajectory``, or ``n_steps`` is less than 1.

    Example:
        >>> AdaptationCurve(n_steps=3).n_steps
        3
    """

    def __init__(self, *, n_steps: int = 10) -> None:
        check_number("AdaptationCurve's n_steps", n_steps, least=1, whole=True)
        self.n_steps = n_steps
        self.result: dict[str, Any] | None = None
        """The last measurement, as written to the file."""
        self._collected: dict[int, list[Tensor]] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error before training if the learner does not adapt in steps."""
        learner = stream_module(trainer).learner
        if not isinstance(learner, AdaptsInSteps):
            raise ValueError(
                f"AdaptationCurve needs a learner that adapts in steps, and {type(learner).__name__} has no "
                "trajectory: leave the callback out"
            )

    def forget(self) -> None:
        """Drop the scores of an interrupted evaluation."""
        self._collected = {}

    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Adapt to a batch of tasks step by step; in ``fit`` after the last experience only."""
        if not is_last_evaluation(trainer):
            return
        # Hooks run outside the Trainer's autocast, the evaluation itself inside it: the curve's last score must agree.
        with torch.inference_mode(False), torch.no_grad(), trainer.precision_plugin.forward_context():
            learner = module.learner
            scores = scores_by_step(learner, learner.meta_parameters(), batch.clone(), self.n_steps, module.runner)
        self._collected.setdefault(domain, []).append(scores)

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Average each step over tasks, and write the curve as JSON and as a figure."""
        if not self._collected:
            return
        domains = sorted(self._collected)
        scores = ragged([all_units(torch.cat(self._collected[d]), d, trainer).T for d in domains])
        mean, half_width = interval(scores)
        names, objective = [stream_data(trainer).stream.domains[d] for d in domains], module.learner.objective
        self.result = {"part": part, "score": objective.score_name, "domains": names}
        self.result |= {"steps": list(range(self.n_steps + 1)), "mean": mean, "half_width": half_width}
        self.write(f"adaptation_curve_{part}.json", self.result, trainer)
        if trainer.is_global_zero:
            figure = plots.adaptation_curve_figure(
                mean,
                half_width,
                names,
                title=title_of(trainer),
                score_name=objective.score_name,
                percent=objective.percent,
                averages=_averages(scores),
            )
            self.draw(figure, "adaptation curve", f"adaptation_curve_{part}.png", trainer)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print the paths of the files."""
        if self.result is not None:
            name = f"adaptation_curve_{self.result['part']}"
            self.say_where(trainer, f"{name}.json", f"{name}.png")


def scores_by_step(learner: Learner, params: Params, batch: Episode, n_steps: int, runner: TaskRunner) -> Tensor:
    """Compute the score of each task after 0, 1, …, ``n_steps`` inner steps, ``(B, n_steps + 1)``.

    Args:
        learner: a learner that adapts in steps.
        params: the meta-parameters.
        batch: the tasks.
        n_steps: number of inner steps.
        runner: runs the tasks and selects the parameters of each.
    """
    assert isinstance(learner, AdaptsInSteps)
    trajectory = learner.trajectory

    def of_task(task: Task) -> Tensor:
        routed = runner.route(params, task.support_x, task.support_y)
        states = trajectory(routed, task.support_x, task.support_y, n_steps)
        outputs = (learner.predict(routed, state, task.query_x) for state in states)
        return torch.stack([learner.objective.score(output, task.query_y) for output in outputs])

    scores: Tensor = runner.map(of_task, learner, batch)
    return scores


def _averages(scores: Scores) -> list[Estimate]:
    """Average the scores ``(D, K + 1, n)`` of each step over tasks and domains."""
    parts = zip(*(numbers.T for numbers in mean_and_variance(scores)), strict=True)
    return [sum_of_means(*of_step).scaled(1 / len(scores)) for of_step in parts]
