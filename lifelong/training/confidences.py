"""How sure a learner is of its answers to held-out examples, by which it later tells what it knows.

Shapes: ``B`` examples of a batch, ``N`` classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner

SHARE = 0.95
"""Of further examples of known classes that shall count as known, here and by their distance from a support set."""


class Confidences:
    """Collect the largest probability of each answer in an evaluation, and find the one that few answers are below.

    Example:
        >>> confidences = Confidences()
        >>> confidences.add(0, torch.tensor([[0.9, 0.1], [0.4, 0.6]]))
        >>> round(confidences.threshold({0: 2}, TaskRunner()), 3)
        0.615
    """

    def __init__(self) -> None:
        self._largest: dict[int, list[Tensor]] = {}

    def clear(self) -> None:
        """Drop what an interrupted evaluation left."""
        self._largest = {}

    def add(self, domain: int, probabilities: Tensor) -> None:
        """Take the answers ``(B, N)`` to examples of a domain."""
        self._largest.setdefault(domain, []).append(probabilities.detach().float().amax(-1))

    def threshold(self, n_units: dict[int, int], runner: TaskRunner) -> float | None:
        """Return the largest probability that 95 % of the examples of some domains are answered with, or more.

        None where one of the domains was not evaluated.

        Args:
            n_units: how many examples each of the domains has, over all processes.
            runner: gathers what other processes have.
        """
        if not n_units or not set(n_units) <= set(self._largest):
            return None
        parts = [runner.gather(torch.cat(self._largest[domain]))[:n] for domain, n in n_units.items()]
        return float(_quantile(torch.cat(parts), 1 - SHARE))


def _quantile(values: Tensor, share: float) -> Tensor:
    """Return the quantile by linear interpolation, of more values than ``torch.quantile`` takes as well."""
    ordered = values.double().sort().values
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], place - below)
