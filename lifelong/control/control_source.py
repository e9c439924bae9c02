"""The contract of a source whose domains have robots."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from lifelong.control.controller import Controller
from lifelong.control.simulation import Simulation
from lifelong.data.source import Source


class ControlSource(Source):
    """Load data as a source does, and make robots of each domain for the closed-loop evaluation of a learner."""

    @property
    @abstractmethod
    def controller(self) -> Controller:
        """Return the controller by which a learner acts in the domains."""

    @abstractmethod
    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """Make ``n`` unseen, randomly drawn robots of the source's ``domain``-th domain.

        Raises:
            ValueError: when there is no such domain.
        """
