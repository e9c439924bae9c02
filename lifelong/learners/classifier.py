"""An ordinary classifier for streams of labelled examples.

Shapes: ``*X`` one input, ``C`` outputs of the network.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.example_learner import ExampleLearner
from lifelong.learners.objective import Classification
from lifelong.learners.one_vs_rest import OneVsRest
from lifelong.networks.heads import longer_layer


class Classifier(ExampleLearner):
    """Classify by any network with one output per class: ``p(n | x) ∝ exp f(x)_n`` over the classes that compete.

    The scenario of :class:`~datamodules.ExampleDataModule` selects the classes that compete in the softmax: all classes
    or those seen so far, or the classes of the example's own experience, which corresponds to a separate head for each
    experience. Outputs of classes that do not compete are not trained, so a head of the final size is equivalent to one
    that grows.

    Args:
        network: ``(n, *X)`` to ``(n, C)``, one output for each class of the stream.
        loss: ``softmax`` (cross-entropy over the ways) or ``sigmoid`` (sum of one binary cross-entropy per way,
            :class:`~lifelong.learners.one_vs_rest.OneVsRest`).

    Raises:
        ValueError: when the stream has more classes than the network has outputs.

    Example:
        >>> import torch
        >>> from lifelong.compute.runner import TaskRunner
        >>> from lifelong.data.episode import Episode
        >>> x, ways = torch.eye(2)[:, None], torch.tensor([[0, 1], [0, 1]])
        >>> y = torch.tensor([[0], [1]])
        >>> batch = Episode(x[:, :0], y[:, :0], x, y, torch.ones(2), 2, ways)
        >>> learner = Classifier(nn.Linear(2, 4))
        >>> TaskRunner().losses(learner, learner.meta_parameters(), batch).shape
        torch.Size([2])
    """

    def __init__(self, network: nn.Module, *, loss: Literal["softmax", "sigmoid"] = "softmax") -> None:
        super().__init__(network, objective=OneVsRest() if loss == "sigmoid" else Classification())

    def grow(self, n_outputs: int) -> None:
        """Extend the network's linear head to at least ``n_outputs``; a network without one is unchanged."""
        head = getattr(self.network, "head", None)
        if isinstance(head, nn.Linear) and head.out_features < n_outputs:
            self.network.head = longer_layer(head, n_outputs)

    def class_outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return the network's outputs ``(n, C)``."""
        return self.apply_network(params, x)
