"""Nearest class mean, for streams of labelled examples.

Shapes: ``*X`` one input, ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from lifelong.learners.running_means import RunningMeans, Trained, Transform


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
    may hold the embedding. With ``first`` it is trained in the first experience alone.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or with a head; to ``(n, C)`` by a head where the embedding is trained.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network: no, in every experience, or in the ``first`` alone.

    Raises:
        ValueError: when a strategy has nothing to protect, or a network to be trained has too few outputs.

    Reference:
        Mensink, Verbeek, Perronnin & Csurka, "Distance-Based Image Classification: Generalizing to New Classes at
        Near-Zero Cost", PAMI 2013. Difference: the metric is the network's, not learnt by itself.

    Example:
        >>> import torch
        >>> from lifelong.compute.runner import TaskRunner
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
        transform: Transform = "none",
        train_embedding: Trained = False,
    ) -> None:
        super().__init__(network, transform=transform, train_embedding=train_embedding)

    def compare(self, features: Tensor) -> Tensor:
        """Return negative squared distances ``(n, C)``."""
        return self.distances(features)
