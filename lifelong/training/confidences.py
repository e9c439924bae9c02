"""Confidence of predictions for held-out examples, which calibrates the detection of unknown inputs.

Shapes: ``B`` examples of a batch, ``N`` classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner

SHARE = 0.95
"""Share of known examples that should count as known, both by confidence and by distance from a support set."""


class Confidences:
    """Collect the largest class probability of each prediction in an evaluation, and compute a quantile as threshold.

    Example:
        >>> confidences = Confidences()
        >>> confidences.add(0, torch.tensor([[0.9, 0.1], [0.4, 0.6]]))
        >>> round(confidences.threshold({0: 2}, TaskRunner()), 3)
        0.615
    """

    def __init__(self) -> None:
        self._largest: dict[int, list[Tensor]] = {}

    def clear(self) -> None:
        """Remove what an interrupted evaluation left."""
        self._largest = {}

    def add(self, domain: int, probabilities: Tensor) -> None:
        """Add the probabilities ``(B, N)`` for examples of a domain."""
        self._largest.setdefault(domain, []).append(probabilities.detach().float().amax(-1))

    def threshold(self, n_units: dict[int, int], runner: TaskRunner) -> float | None:
        """Return the threshold: for 95 % of the examples of the domains, the largest probability is at least this.

        None if one of the domains was not evaluated.

        Args:
            n_units: number of examples of each of the domains, over all processes.
            runner: gathers the values of all processes.
        """
        if not n_units or not set(n_units) <= set(self._largest):
            return None
        parts = [runner.gather(torch.cat(self._largest[domain]))[:n] for domain, n in n_units.items()]
        return float(_quantile(torch.cat(parts), 1 - SHARE))


def _quantile(values: Tensor, share: float) -> Tensor:
    """Return the quantile by linear interpolation, without the size limit of ``torch.quantile``."""
    ordered = values.double().sort().values
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], place - below)
