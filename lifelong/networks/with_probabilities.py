"""An embedding concatenated with the class probabilities of a classifier of another domain.

Shapes: ``n`` inputs, ``*X`` one input, ``D`` features, ``N`` outputs of the head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.networks.heads import check_head
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded


class WithProbabilities(Recorded, nn.Module):
    """Compute ``[w · softmax(h(f(x))), f(x)]``: features ``f`` of a network and probabilities of its head ``h``.

    This is for learners that compare embeddings, if domains share their labels: a head that was trained on a source
    domain is informative about the labels of a new domain, and the features add what the head does not capture. Load
    the network of that run with :func:`lifelong.networks.FromCheckpoint`.

    Args:
        network: a network with ``features`` and a linear head.
        weight: ``w``, the weight of the probabilities.

    Raises:
        ValueError: when the network has no head.

    Example:
        >>> from lifelong.networks import WithHead
        >>> network = WithProbabilities(WithHead(nn.Identity(), n_features=4, n_outputs=2))
        >>> network(torch.ones(3, 4)).shape, round(network(torch.ones(1, 4))[0, :2].sum().item(), 3)
        (torch.Size([3, 6]), 0.5)
    """

    def __init__(self, network: nn.Module, *, weight: float = 0.5) -> None:
        super().__init__()
        check_head(network, "lifelong.networks.WithProbabilities")
        check_number("--model.network.weight", weight, least=0)
        self.network, self.weight = network, weight

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, *X)`` to ``(n, N + D)``."""
        features: Tensor = self.network.features(x)  # type: ignore[operator]
        probabilities: Tensor = self.network.head(features).softmax(-1)  # type: ignore[operator]
        return torch.cat([self.weight * probabilities, features], -1)
