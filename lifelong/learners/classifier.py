"""An ordinary classifier for streams of labelled examples.

Shapes: ``B`` examples, ``N`` ways, ``*X`` one input, ``C`` outputs of the network.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from lifelong.batch import Episode, Task
from lifelong.learner import Learner, Route
from lifelong.outer import OuterLoop
from lifelong.strategy import Params, overrides
from lifelong.streaming import Unit


class Classifier(Learner):
    """Any network with one output per class: ``p(n | x) ∝ exp f(x)_n`` over the ways that an example comes with.

    The ways are the scenario (:class:`~lifelong.examples.ExampleDataModule`): all classes or those seen so far, or the
    classes of the example's own experience, which makes the output a head for each experience. Outputs of classes that
    never stood among the ways are not trained, so a head of the final size is one that grows.

    Args:
        network: ``(n, *X)`` to ``(n, C)``, one output for each class of the stream.
        outer: how the network is trained.

    Raises:
        ValueError: when the stream has more classes than the network has outputs.

    Example:
        >>> import torch
        >>> x, ways = torch.eye(2)[:, None], torch.tensor([[0, 1], [0, 1]])
        >>> y = torch.tensor([[0], [1]])
        >>> batch = Episode(x[:, :0], y[:, :0], x, y, torch.ones(2), 2, ways)
        >>> learner = Classifier(nn.Linear(2, 4))
        >>> learner.losses(learner.meta_parameters(), batch).shape
        torch.Size([2])
    """

    unit: ClassVar[Unit] = "examples"

    def __init__(self, network: nn.Module, *, outer: OuterLoop | None = None) -> None:
        super().__init__(network, outer=outer)
        self._n_classes = 0

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> tuple[()]:
        """Nothing: it learns from the stream alone."""
        return ()

    def predict(self, params: Params, state: tuple[()], query_x: Tensor) -> Tensor:
        """All outputs ``(Q, C)``."""
        return self.apply_network(params, query_x)

    def answer(self, params: Params, task: Task, route: Route | None = None) -> Tensor:
        """The outputs for the task's ways ``(Q, N)``."""
        routed = (route or self.route)(params, task.support_x, task.support_y)
        return self._at_ways(self.predict(routed, (), task.query_x), task.classes)

    def losses_and_outputs(self, params: Params, batch: Episode) -> tuple[Tensor, Tensor]:
        """Losses ``(B,)`` and outputs ``(B, 1, N)``, by one pass of the network over the batch where nothing routes."""
        if self._routes() or batch.query_x.shape[1] != 1:
            return super().losses_and_outputs(params, batch)
        outputs = self._whole(params, batch)
        losses = nn.functional.cross_entropy(outputs, batch.query_y[:, 0], reduction="none")
        return losses, outputs[:, None]

    def outputs(self, params: Params, batch: Episode) -> Tensor:
        """Outputs ``(B, 1, N)``."""
        if self._routes() or batch.query_x.shape[1] != 1:
            return super().outputs(params, batch)
        return self._whole(params, batch)[:, None]

    def scores(self, params: Params, batch: Episode, route: Route | None = None) -> Tensor:
        """Whether each example is classified rightly ``(B,)``."""
        if route is not None or self._routes() or batch.query_x.shape[1] != 1:
            return super().scores(params, batch, route)
        return (self._whole(params, batch).argmax(-1) == batch.query_y[:, 0]).to(batch.weight.dtype)

    def _whole(self, params: Params, batch: Episode) -> Tensor:
        dtype = next(self.network.parameters()).dtype
        assert batch.classes is not None
        return self._at_ways(self.apply_network(params, batch.query_x[:, 0].to(dtype)), batch.classes)

    def _at_ways(self, outputs: Tensor, ways: Tensor) -> Tensor:
        if outputs.shape[-1] < self._n_classes:
            raise ValueError(
                f"the network has {outputs.shape[-1]} outputs, but the stream has {self._n_classes} classes: set "
                f"--model.network.n_outputs {self._n_classes}"
            )
        ways = ways.expand(len(outputs), -1)
        return outputs.gather(-1, ways.clamp_min(0)).masked_fill(ways < 0, -torch.inf)

    def _routes(self) -> bool:
        return any(overrides(strategy, "route") for strategy in self.strategies)

    def prepare(self, n_classes: int) -> None:
        """Note how many outputs the stream needs."""
        self._n_classes = n_classes
