"""The base class of learners of labelled examples: one output per class, compared over an example's ways.

Shapes: ``B`` examples, ``N`` ways, ``*X`` one input, ``C`` classes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params, floating_type
from lifelong.data.episode import Episode, Task
from lifelong.data.kinds import Unit
from lifelong.learners.base import Learner
from lifelong.learners.objective import one_hot
from lifelong.learners.one_vs_rest import OneVsRest, binary_losses


class ExampleLearner(Learner):
    """Learn from labelled examples and predict over the ways of each example, in one pass over a batch if possible.

    Abstract: subclasses compute the outputs for all classes of the stream in ``class_outputs``. The scenario
    (:class:`~datamodules.examples.ExampleDataModule`) determines the ways: all classes, those seen so far, or the
    classes of the example's own experience. The output of an absent way (class -1) is −∞.

    Args:
        network: ``(n, *X)`` to ``(n, C)`` or ``(n, D)``.
        objective: loss and score. Default: classification.

    Raises:
        ValueError: when the stream has more classes than the network has outputs.
    """

    unit: ClassVar[Unit] = "examples"

    @abstractmethod
    def class_outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return outputs ``(n, C)`` for inputs ``(n, *X)``; a larger output means a likelier class."""

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[()]:
        """Return an empty state, because the support set is not used."""
        return ()

    def predict(self, params: Params, state: tuple[()], query_x: Tensor) -> Tensor:
        """Return all outputs ``(Q, C)``."""
        return self.class_outputs(params, query_x)

    def answer(self, params: Params, task: Task) -> Tensor:
        """Return the outputs for the task's ways ``(Q, N)``."""
        return self.at_ways(self.predict(params, (), task.query_x), task.classes)

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the objective's loss of ONE task, computed from label indices to avoid 0 · ∞ at absent ways."""
        outputs = self.answer(params, task)
        return self._losses(outputs, task.query_y.argmax(-1)).mean(), outputs

    def batch_outputs(self, params: Params, batch: Episode) -> Tensor | None:
        """Return the outputs ``(B, 1, N)`` by one pass of the network over the batch."""
        if batch.query_x.shape[1] != 1:
            return None
        x = batch.query_x[:, 0]
        if x.is_floating_point():
            x = x.to(floating_type(params.values()) if params else batch.weight.dtype)
        assert batch.classes is not None
        return self.at_ways(self.class_outputs(params, x), batch.classes)[:, None]

    def losses_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the loss ``(B,)`` of the outputs ``(B, 1, N)``."""
        return self._losses(outputs[:, 0], batch.query_y[:, 0])

    def at_ways(self, outputs: Tensor, ways: Tensor) -> Tensor:
        """Return the outputs ``(n, C)`` of the ways ``(N,)`` or ``(n, N)``, as ``(n, N)``."""
        if outputs.shape[-1] < self.n_classes:
            raise ValueError(
                f"the network has {outputs.shape[-1]} outputs, but the stream has {self.n_classes} classes: set "
                f"--model.network.n_outputs {self.n_classes}"
            )
        ways = ways.expand(outputs.shape[0], -1)  # not len(), which an export records as a constant
        return outputs.gather(-1, ways.clamp_min(0)).masked_fill(ways < 0, -torch.inf)

    def _losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if isinstance(self.objective, OneVsRest):
            return binary_losses(outputs, one_hot(labels, outputs.shape[-1]).to(outputs.dtype))
        return nn.functional.cross_entropy(outputs, labels, reduction="none")
