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
    """Act with a learner in the domains of a source."""

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
        """Let every robot act for one episode, which starts with a ``reset``.

        Args:
            learner: what acts.
            simulations: the ``R`` robots.
            support: ``R`` tasks drawn from the evaluation tasks of the robots' domain, for controllers whose support
                sets are data; others take its number of examples.
            rng: decides all that is random. With an equal one, episodes start alike whether ``adapt`` is set or not.
            runner: runs the learner; bound to strategies, it routes each robot by its support set.
            adapt: False drives the learner as it is before it has seen a support set, for comparison.
            film: take pictures of the first robot.
        """
