"""Divergence: how far a model's predictions move on each new experience, which predicts forgetting.

Shapes: ``n`` predictions, ``N`` ways.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.answers import on_held_out
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.why import divergence
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import say
from lifelong.utilities.ranges import check_number


class Divergence(AfterEvaluation):
    """Measure ``KL(p_before ‖ p_after)`` of the predictions on each experience's own held-out inputs.

    ``p_before`` and ``p_after`` are the class probabilities before and after learning the experience. The stream must
    have boundaries, and targets must be classes. The callback logs ``<part>/divergence`` after each experience, writes
    ``divergence_<part>.json`` with 95 % intervals over inputs, and prints one line. On the command line of ``fit``, add
    ``--trainer.callbacks+=lifelong.evaluation.Divergence``.

    Args:
        n_units: maximum number of held-out tasks or examples of a domain.

    Raises:
        ValueError: when the stream has no boundaries, or targets are real numbers.

    Reference:
        :func:`lifelong.evaluation.why.divergence`.

    Example:
        >>> Divergence(n_units=200).n_units
        200
    """

    def __init__(self, *, n_units: int = 500) -> None:
        check_number("Divergence's n_units", n_units, least=1, whole=True)
        self.n_units = n_units
        self.values: dict[str, tuple[float, float]] = {}
        """Mean and half width of the 95 % interval, by experience."""
        self._before = torch.empty(0)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error if divergence is not defined for these data; discard the values of an earlier run."""
        if not stream_data(trainer).has_boundaries or stream_module(trainer).learner.objective.task == "regression":
            raise ValueError(
                "Divergence compares classes' probabilities before and after each experience: leave it out where "
                "targets are real numbers, or a stream has no boundaries (--data.fade)"
            )
        if stage == "fit" and trainer.global_step == 0:
            self.values = {}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Store the predictions of the model before it learns the experience."""
        data = stream_data(trainer)
        if data.begins(trainer.current_epoch) and not data.joint:
            self._before = self._answers(trainer)

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Compare with the predictions after the experience."""
        if trainer.state.fn != "fit" or not len(self._before):
            return
        after = self._answers(trainer)
        values = divergence(_rows(self._before), _rows(after))
        mean, half_width = interval(values[None])
        name = stream_data(trainer).stream.experiences[trainer.current_epoch].name
        self.values[name] = (float(mean[0]), float(half_width[0]))
        module.log(f"{part}/divergence", float(mean[0]), rank_zero_only=False, sync_dist=False)
        self.write(f"divergence_{part}.json", {"unit": "nats", "experiences": self.values}, trainer)
        self._before = torch.empty(0)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print the divergence of each experience."""
        if self.values:
            listed = ", ".join(f"{name} {Estimate(*value).text(3)}" for name, value in self.values.items())
            say(f"divergence from the model before each experience, in nats: {listed}")
            self.say_where(trainer, f"divergence_{stream_data(trainer).evaluate_on}.json")

    def state_dict(self) -> dict[str, Any]:
        """Return the values so far, and the predictions from before the current experience."""
        return {"values": {name: list(value) for name, value in self.values.items()}, "before": self._before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the values from a checkpoint."""
        self.values = {name: (value[0], value[1]) for name, value in state_dict["values"].items()}
        self._before = state_dict["before"]

    def _answers(self, trainer: L.Trainer) -> Tensor:
        module = stream_module(trainer)
        return on_held_out(trainer, trainer.current_epoch, self.n_units, lambda batch: module.predict_step(batch, 0))


def _rows(answers: Tensor) -> Array:
    """Reshape predictions ``(B, Q, N)`` to ``(n, N)``."""
    rows: Array = answers.flatten(0, 1).double().numpy()
    return rows
