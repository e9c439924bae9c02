"""The adaptation curve: how much each inner step brings.

Shapes: ``B`` tasks, ``K`` steps.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.data.episode import Episode, Task
from lifelong.evaluation import plots
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.batch_collector import BatchCollector
from lifelong.evaluation.evaluator import all_units
from lifelong.evaluation.metrics import interval, ragged
from lifelong.learners.base import Learner


class AdaptationCurve(BatchCollector, AfterEvaluation):
    """The score after 0, 1, …, ``K`` inner steps on the evaluation tasks of every domain, with 95 % intervals.

    For learners that adapt in steps and have a ``trajectory`` (MAML and its kin, LinearProbe, FineTuning). It writes
    ``adaptation_curve_<part>.json`` and ``.png``; in ``fit`` after the last experience only. From the command
    line, in ``fit``, ``validate`` and ``test``:
    ``--trainer.callbacks+=lifelong.evaluation.AdaptationCurve --trainer.callbacks.n_steps=20``.

    Args:
        n_steps: ``K``.

    Raises:
        ValueError: when the learner has no trajectory, or there is no step.

    Example:
        >>> AdaptationCurve(n_steps=3).n_steps
        3
    """

    def __init__(self, *, n_steps: int = 10) -> None:
        if n_steps < 1:
            raise ValueError(f"AdaptationCurve has n_steps {n_steps}: it must be at least 1")
        self.n_steps = n_steps
        self.result: dict[str, Any] | None = None
        """What was measured last, as in the file."""
        self._collected: dict[int, list[Tensor]] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse a learner that has no steps before any time is spent."""
        if not callable(getattr(pl_module, "trajectory", None)):
            raise ValueError(
                f"AdaptationCurve needs a learner that adapts in steps, and {type(pl_module).__name__} has no "
                "trajectory: leave the callback out"
            )

    def forget(self) -> None:
        """Drop the scores of an interrupted evaluation."""
        self._collected = {}

    def collect(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, domain: int) -> None:
        """Adapt step by step to a batch of tasks; in ``fit`` after the last experience only."""
        if trainer.state.fn == "fit" and not _is_last_evaluation(trainer):
            return
        assert isinstance(module, Learner)
        # Hooks run outside the Trainer's autocast, the scores that the curve ends in do not.
        with torch.inference_mode(False), torch.no_grad(), trainer.precision_plugin.forward_context():
            scores = scores_by_step(module, module.meta_parameters(), batch.clone(), self.n_steps)
        self._collected.setdefault(domain, []).append(scores)

    def measure(self, trainer: L.Trainer, learner: Learner, part: str) -> None:
        """Mean and interval of every step, written as numbers and as a picture."""
        if not self._collected:
            return
        curves = [all_units(torch.cat(self._collected[d]).T, d, trainer, learner) for d in sorted(self._collected)]
        mean, half_width = interval(ragged(curves))
        domains = list(trainer.datamodule.stream.domains)  # type: ignore[attr-defined]
        self.result = {"part": part, "score": learner.objective.score_name, "domains": domains}
        self.result |= {"steps": list(range(self.n_steps + 1)), "mean": mean, "half_width": half_width}
        self.write(f"adaptation_curve_{part}.json", self.result, trainer)
        if self.folder is not None and trainer.is_global_zero:
            names = " + ".join(learner.strategies.names) or "no strategy"
            figure = plots.adaptation_curve_figure(
                mean,
                half_width,
                domains,
                title=f"{type(learner).__name__}, {names}: {part} tasks",
                score_name=learner.objective.score_name,
                percent=learner.objective.percent,
            )
            plots.save_figure(figure, self.folder.path / f"adaptation_curve_{part}.png")

    def tell(self, trainer: L.Trainer, learner: Learner) -> None:
        """Where the files are."""
        if self.result is not None:
            name = f"adaptation_curve_{self.result['part']}"
            self.say_where(f"{name}.json", f"{name}.png")


def scores_by_step(learner: Learner, params: Params, batch: Episode, n_steps: int) -> Tensor:
    """The score of each task after 0, 1, …, ``n_steps`` inner steps, ``(B, n_steps + 1)``.

    Args:
        learner: with a ``trajectory(params, support_x, support_y, n_steps)`` that returns a state for every step.
        params: the meta-parameters.
        batch: the tasks.
        n_steps: inner steps.
    """

    def one(task: Task) -> Tensor:
        routed = learner.route(params, task.support_x, task.support_y)
        states = learner.trajectory(routed, task.support_x, task.support_y, n_steps)  # type: ignore[operator]
        outputs = (learner.predict(routed, state, task.query_x) for state in states)
        return torch.stack([learner.objective.score(output, task.query_y) for output in outputs])

    scores: Tensor = learner.over_tasks(one, batch)
    return scores


def _is_last_evaluation(trainer: L.Trainer) -> bool:
    last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
    return last and not trainer.sanity_checking
