"""A source of data whose domains can be acted in."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from lifelong.control.controller import Controller
from lifelong.control.robot import Simulation
from lifelong.stream import Source


class ControlSource(Source):
    """A source that also has robots to drive: a learner of its tasks can be judged by what it does with them.

    Attributes of every one: ``controller``, how a learner acts in this source's domains.
    """

    controller: Controller

    @abstractmethod
    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """``n`` robots, unseen draws, of the ``domain``-th of its domains."""
