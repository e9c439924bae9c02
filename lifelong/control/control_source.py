"""The contract of a source whose domains can be acted in."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from lifelong.control.controller import Controller
from lifelong.control.simulation import Simulation
from lifelong.data.source import Source


class ControlSource(Source):
    """Load data as a source does, and make robots of each domain, by which a learner is evaluated in closed loop."""

    @property
    @abstractmethod
    def controller(self) -> Controller:
        """Return how a learner acts in this source's domains."""

    @abstractmethod
    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Make ``n`` robots, unseen draws, of the ``domain``-th of its domains.

        Raises:
            ValueError: when there is no such domain.
        """
