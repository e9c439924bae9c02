"""Streams without boundaries: one domain fades into the next, with random domains of examples in the transition.

Shapes: ``U`` examples of one stretch of the stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong.data.sampling import generator


class Fading:
    """Choose the domain of each example of the stream, as a function of the seed and its position in the stream.

    Example ``i`` of the ``U`` examples of stretch ``e`` is at position ``x = (i + ½) / U``. It is from domain ``e + 1``
    with probability ``max(0, ½ − (1 − x) / fade)``, from domain ``e − 1`` with probability ``max(0, ½ − x / fade)``,
    and otherwise from domain ``e``. Across each boundary the share of the next domain rises linearly from 0 to 1.

    Args:
        n_domains: number of stretches of the stream.
        n_units: function that returns the number of examples of a stretch.
        fade: length of the transition, in stretches, from 0 to 1.
        seed: seed of the run.

    Example:
        >>> fading = Fading(3, lambda stretch: 8, fade=1.0, seed=22)
        >>> fading.domains(1).tolist()
        [0, 0, 1, 1, 1, 1, 1, 2]
    """

    def __init__(self, n_domains: int, n_units: Callable[[int], int], *, fade: float, seed: int) -> None:
        assert 0 <= fade <= 1
        self.n_domains, self.n_units, self.fade, self.seed = n_domains, n_units, fade, seed

    def domains(self, stretch: int) -> np.ndarray:
        """Return the domain of each example of a stretch, ``(U,)``."""
        place = (np.arange(self.n_units(stretch)) + 0.5) / self.n_units(stretch)
        chance = generator(self.seed, "fade", stretch).random(len(place))
        after = (stretch + 1 < self.n_domains) & (chance < self._neighbour(1 - place))
        before = (stretch > 0) & (chance < self._neighbour(place))
        return stretch + after - before

    def turns(self, stretch: int) -> np.ndarray:
        """Return the number of earlier examples of the same domain for each example of a stretch, ``(U,)``."""
        earlier = [self.domains(e) for e in range(max(stretch - 2, 0), stretch)]  # a domain spans at most 3 stretches
        here, turns = self.domains(stretch), np.empty(self.n_units(stretch), dtype=np.int64)
        for domain in np.unique(here):
            same = here == domain
            turns[same] = sum(int((e == domain).sum()) for e in earlier) + np.arange(same.sum())
        return turns

    def _neighbour(self, distance: np.ndarray) -> np.ndarray:
        """Return the probability of the domain beyond a boundary, by the distance from the boundary."""
        if self.fade == 0:
            return np.zeros_like(distance)
        return np.maximum(0.5 - distance / self.fade, 0)
