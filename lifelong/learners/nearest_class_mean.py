"""Nearest class mean, for streams of labelled examples.

Shapes: ``*X`` one input, ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.learners.running_means import RunningMeans


class NearestClassMean(RunningMeans):
    """Classify by the nearest class mean: ``argmin_c ‖z(x) − μ_c‖`` with ``μ_c`` the mean of class ``c`` so far.

    ``z`` is what the network's head receives, or its output where it has no head. By default the network stands still
    (:class:`~lifelong.learners.running_means.RunningMeans`): take one that has been trained elsewhere, as by
    :func:`~lifelong.networks.FromCheckpoint`. Leave ``--data.passes`` at 1, as an example counts each time that it
    comes. Classes never disturb each other, so nothing is forgotten. In the domain scenario a class's mean is over all
    its domains.

    With ``train_embedding`` the network is trained as a classifier is (:class:`~lifelong.learners.Classifier`), by its
    own outputs, one for each class, and the means are taken at the end of each experience from all its examples.
    The means of older classes stay while the embedding moves on: they drift away from what they were, and a strategy
    may hold the embedding.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or with a head; to ``(n, C)`` by a head where the embedding is trained.
        transform: ``none``, or ``l2`` for embeddings of unit length.
        train_embedding: train the network on the stream.

    Raises:
        ValueError: when a strategy has nothing to protect, or a network to be trained has too few outputs.

    Reference:
        Mensink, Verbeek, Perronnin & Csurka, "Distance-Based Image Classification: Generalizing to New Classes at
        Near-Zero Cost", PAMI 2013. Difference: the metric is the network's, not learnt by itself.

    Example:
        >>> learner = NearestClassMean(nn.Sequential(nn.Flatten()))
        >>> learner.make_room(n_classes=2, n_features=1)
        >>> learner.absorb(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([0, 0, 1]), TaskRunner())
        >>> learner.means.tolist(), learner.class_outputs({}, torch.tensor([[4.0]])).tolist()
        ([[1.0], [9.0]], [[-9.0, -25.0]])
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        transform: Literal["none", "l2"] = "none",
        train_embedding: bool = False,
    ) -> None:
        super().__init__(network, is_fixed=not train_embedding)
        self.transform = transform

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``z(x)`` ``(n, D)``."""
        features = super().embed(params, x)
        return F.normalize(features, dim=-1) if self.transform == "l2" else features

    def compare(self, features: Tensor) -> Tensor:
        """Return negative squared distances ``(n, C)``."""
        return self.distances(features)

    def class_outputs(self, params: Params, x: Tensor) -> Tensor:
        """Return the outputs of the means ``(n, C)``; of the network while the embedding is trained."""
        if self.training and not self.is_fixed:
            return self.apply_network(params, x)
        return super().class_outputs(params, x)

    def finish(self, visit: Visit, runner: TaskRunner) -> None:
        """Compute the means of a trained embedding from every example of the experience."""
        if self.is_fixed:
            return
        params, sums, counts = self.meta_parameters(), torch.zeros_like(self.means), torch.zeros_like(self.means[:, 0])
        with evaluating(self.network), torch.no_grad():
            for _, batch in visit.batches("centre", sum(len(pool) for pool in visit.experience.pools)):
                more = self.totals(*self.embedded(params, batch))
                sums, counts = sums + more[0], counts + more[1]
        self.merge(runner.sum(sums), runner.sum(counts))

    @property
    def needs_boundaries(self) -> bool:
        """Tell whether the embedding is trained: the means of one that stands still follow the stream."""
        return not self.is_fixed
