"""Recency bias: how often examples of older experiences are predicted as classes of the newest.

Shapes: ``B`` examples, ``N`` ways, ``T`` experiences, ``D`` domains.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.batch_collector import BatchCollector
from lifelong.evaluation.evaluator import all_units
from lifelong.evaluation.why import recency_bias
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import say


class RecencyBias(BatchCollector, AfterEvaluation):
    """Measure the share of old examples that are predicted as a class of the newest experience.

    ``1/(t−1) Σ_{j<t} P(the prediction is a class of experience t | the example is of domain j)``, for class-incremental
    streams of labelled examples. The callback logs ``<part>/recency_bias`` after each experience but the first, prints
    it, and writes ``recency_bias_<part>.json``, which also contains the share of each experience's classes in the
    predictions for each domain. On the command line of ``fit``, add
    ``--trainer.callbacks+=lifelong.evaluation.RecencyBias``.

    Raises:
        ValueError: when the stream is not class-incremental.

    Reference:
        :func:`lifelong.evaluation.why.recency_bias`.

    Example:
        >>> RecencyBias().values
        {}
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        """Recency bias by experience, without the first."""
        self.answered: list[list[float]] = []
        """The last measurement ``(D, T)``: shares of a domain's predictions by experience of the predicted class."""
        self._collected: dict[int, list[Tensor]] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error if the stream is not class-incremental; discard the values of an earlier run."""
        if stream_data(trainer).kind != "class":
            raise ValueError(
                f"RecencyBias is of class-incremental streams, and this one is {stream_data(trainer).kind}: leave it "
                "out, or set --data.scenario class"
            )
        if stage == "fit" and trainer.global_step == 0:
            self.values = {}

    def forget(self) -> None:
        """Discard the predictions of an interrupted evaluation."""
        self._collected = {}

    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Store the experience of the predicted class of each example."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or stream_data(trainer).joint:
            return
        assert batch.classes is not None
        places = module.predict_step(batch, 0)[:, 0].argmax(-1, keepdim=True)
        table = _experience_of_class(trainer).to(places.device)
        self._collected.setdefault(domain, []).append(table[batch.classes.gather(1, places)[:, 0]])

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Count the predictions of an evaluation after an experience."""
        n_learnt = trainer.current_epoch + 1
        if not all(domain in self._collected for domain in range(n_learnt)):
            return
        answered = [
            all_units(torch.cat(self._collected[domain]), domain, trainer).astype(np.int64)
            for domain in range(n_learnt)
        ]
        self.answered = [(np.bincount(row, minlength=n_learnt) / len(row)).tolist() for row in answered]
        if n_learnt > 1:
            name = stream_data(trainer).stream.experiences[trainer.current_epoch].name
            self.values[name] = recency_bias(answered)
            module.log(f"{part}/recency_bias", self.values[name], rank_zero_only=False, sync_dist=False)
        content = {"recency_bias": self.values, "answered": self.answered}
        self.write(f"recency_bias_{part}.json", content, trainer)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print the bias after the last experience."""
        if self.values:
            last = list(self.values.values())[-1]
            say(f"recency bias: {100 * last:.1f} % of old examples are given a class of the newest experience")
            self.say_where(trainer, f"recency_bias_{stream_data(trainer).evaluate_on}.json")

    def state_dict(self) -> dict[str, Any]:
        """Return the values so far."""
        return {"values": dict(self.values)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the values from a checkpoint."""
        self.values = dict(state_dict["values"])


def _experience_of_class(trainer: L.Trainer) -> Tensor:
    """Return the first experience that contains it, for each class of the stream."""
    stream = stream_data(trainer).stream
    table = torch.zeros(stream_module(trainer).learner.n_classes, dtype=torch.int64)
    for experience in reversed(stream.experiences):
        for pool in experience.pools[-1:]:
            table[torch.from_numpy(pool.numbers)] = experience.index
    return table
