"""The controller contract: how a learner drives robots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from lifelong.compute.runner import TaskRunner
from lifelong.control.drive import Drive
from lifelong.control.simulation import Simulation
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner


class Controller(ABC):
    """Control robots in the domains of a source with a learner."""

    @abstractmethod
    def drive(
        self,
        learner: Learner,
        simulations: Sequence[Simulation],
        support: Episode,
        rng: np.random.Generator,
        *,
        runner: TaskRunner,
        adapt: bool = True,
        film: bool = False,
    ) -> Drive:
        """Run one episode of every robot, from a ``reset``.

        Args:
            learner: the learner that acts.
            simulations: the ``R`` robots.
            support: ``R`` tasks drawn from the evaluation tasks of the robots' domain. Controllers that collect support
                sets themselves only use the number of examples.
            rng: random generator. With the same seed, episodes start identically with and without ``adapt``.
            runner: runs the learner. If it is bound to strategies, they route each robot by its support set.
            adapt: if False, the learner acts without adaptation to a support set, for comparison.
            film: record frames of the first robot.
        """
