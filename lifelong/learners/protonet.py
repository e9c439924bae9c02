"""Prototypical networks: classify by the nearest class mean in a learnt embedding.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import class_means, full_precision
from lifelong.networks.heads import has_head
from lifelong.utilities.ranges import check_number


class ProtoNet(Learner):
    """Classify by prototypical networks: ``p(n | x) ∝ exp(−τ d(f(x), c_n))``, ``c_n`` the class's mean embedding.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        distance: distance ``d``: ``euclidean`` (squared) or ``cosine`` (one minus the cosine similarity).
        temperature: ``τ``. Default: 1 for ``euclidean``, 10 for ``cosine``.

    Reference:
        Snell, Swersky & Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017. Differences: the
        temperature is an option (the paper has none, which equals 1), and so is the cosine distance (which the paper
        finds worse), with a different default temperature.

    Example:
        >>> import torch
        >>> learner = ProtoNet(nn.Identity())
        >>> means = learner.adapt({}, torch.tensor([[0.0], [2.0], [9.0]]), torch.eye(2)[[0, 0, 1]])
        >>> means.tolist()
        [[1.0], [9.0]]
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        distance: Literal["euclidean", "cosine"] = "euclidean",
        temperature: float | None = None,
    ) -> None:
        super().__init__(network)
        check_number("--model.temperature", temperature, above=0, hint=", or null for the default of the distance")
        self.distance = distance
        self.temperature = (1.0 if distance == "euclidean" else 10.0) if temperature is None else temperature

    def phase(self) -> Hashable | None:
        """Return a constant, because the form of the losses never changes."""
        return ()

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``, scaled to unit length for the cosine distance."""
        features = self.apply_network(params, x).flatten(1)
        return F.normalize(features, dim=-1) if self.distance == "cosine" else features

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return class means ``(N, D)``, also for different numbers of shots per class."""
        return class_means(self.apply_network(params, support_x).flatten(1), support_y)

    def predict(self, params: Params, state: Tensor, query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)``: negative distances times the temperature."""
        return self.compare(self.apply_network(params, query_x).flatten(1), state)

    def predict_embedded(self, params: Params, state: Tensor, features: Tensor) -> Tensor | None:
        """Return logits ``(Q, N)`` of embedded queries, or None if the network's output is not its embedding."""
        is_output = not has_head(self.network) or isinstance(self.network.head, nn.Identity)
        return self.compare(features.flatten(1), state) if is_output else None

    def compare(self, features: Tensor, means: Tensor) -> Tensor:
        """Return logits ``(Q, N)`` of features ``(Q, D)``, given class means ``(N, D)``."""
        if self.distance == "cosine":
            with full_precision(features):
                return self.temperature * (F.normalize(features, dim=-1) @ F.normalize(means, dim=-1).T - 1)
        return -self.temperature * (features[:, None] - means[None]).square().sum(-1)
