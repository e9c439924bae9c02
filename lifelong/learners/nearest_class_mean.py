"""Nearest class mean, for streams of labelled examples.

Shapes: ``*X`` one input, ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from lifelong.learners.running_means import RunningMeans, Trained, Transform


class NearestClassMean(RunningMeans):
    """Classify by the nearest class mean: ``argmin_c ‖z(x) − μ_c‖`` with ``μ_c`` the mean of class ``c`` so far.

    ``z`` is the input of the network's head, or the network's output if it has no head. By default the network is fixed
    (:class:`~lifelong.learners.running_means.RunningMeans`), so use a pre-trained one, for example from
    :func:`~lifelong.networks.FromCheckpoint`. Keep ``--data.passes`` at 1, because an example counts every time it is
    seen. The mean of a class does not depend on other classes, so nothing is forgotten. In the domain-incremental
    scenario, the mean of a class covers all its domains.

    With ``train_embedding``, the network is trained as a classifier with one output per class
    (:class:`~lifelong.learners.Classifier`), and the means are computed at the end of each experience from all its
    examples. The means of older classes are not updated while the embedding changes, so they become outdated; a
    strategy may reduce this drift. With ``first``, the embedding is trained only in the first experience.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or a network with a head. If it is trained, its head has ``C`` outputs.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network: ``false``, ``true`` (every experience) or ``first`` (only the first).

    Raises:
        ValueError: when a strategy is used but nothing is trained, or a trained network has too few outputs.

    Reference:
        Mensink, Verbeek, Perronnin & Csurka, "Distance-Based Image Classification: Generalizing to New Classes at
        Near-Zero Cost", PAMI 2013. Difference: the metric is that of the network's embedding; none is learnt
        separately.

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
