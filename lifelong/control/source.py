"""A source whose domains can be acted in."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from lifelong.control.robot import Simulation
from lifelong.stream import Source


class ControlSource(Source):
    """A source of robots: what is learnt from its domains can be tried in simulations of them."""

    @abstractmethod
    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """``n`` robots, drawn by the generator, of its ``domain``-th domain."""
