"""A source of data whose domains can be acted in."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from lifelong.control.robot import Simulation
from lifelong.data.source import Source

if TYPE_CHECKING:
    from lifelong.control.controller import Controller


class ControlSource(Source):
    """A source that also has robots to drive: a learner of its tasks can be judged by what it does with them."""

    @property
    @abstractmethod
    def controller(self) -> Controller:
        """How a learner acts in this source's domains."""

    @abstractmethod
    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        """``n`` robots, unseen draws, of the ``domain``-th of its domains.

        Raises:
            ValueError: when there is no such domain.
        """
