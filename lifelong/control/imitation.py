"""Few-shot imitation: a policy that adapts to demonstrations.

Shapes: ``R`` robots, ``S`` state, ``A`` action and ``G`` goal dimensions, ``*Y`` one target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.control.adaptation import adapt_to
from lifelong.control.controller import Controller
from lifelong.control.drive import Drive, run_episodes
from lifelong.control.simulation import Simulation
from lifelong.data.episode import Episode
from lifelong.learners.base import Learner
from lifelong.utilities.ranges import check_number


class Imitation(Controller):
    """Adapt a policy to demonstrations and act as it predicts.

    The learner adapts once to the support set of states and demonstrated actions. In each step, its prediction for the
    current state is the action.

    Args:
        n_steps: number of control steps in an episode.
        observe: computes the network's inputs from states ``(R, S)`` and goals ``(R, G)``. Default: the states.
        act: computes actions ``(R, A)`` from the network's outputs ``(R, *Y)``. Default: the outputs.
        seconds_per_step: duration of a control step in seconds, for the speed of films.

    Raises:
        ValueError: when ``n_steps`` is less than 1 or ``seconds_per_step`` is not positive.
    """

    def __init__(
        self,
        *,
        n_steps: int,
        observe: Callable[[Tensor, Tensor], Tensor] | None = None,
        act: Callable[[Tensor], Tensor] | None = None,
        seconds_per_step: float = 0.0125,
    ) -> None:
        check_number("Imitation's n_steps", n_steps, least=1, whole=True)
        check_number("Imitation's seconds_per_step", seconds_per_step, above=0)
        self.n_steps, self.observe, self.act = n_steps, observe, act
        self.seconds_per_step = seconds_per_step

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
        """Adapt to the demonstrations in ``support`` and act."""
        predict = adapt_to(learner, support.support_x, support.support_y, runner=runner, adapt=adapt)

        def policy(state: Tensor, goal: Tensor) -> Tensor:
            inputs = state if self.observe is None else self.observe(state, goal)
            outputs = predict(inputs[:, None])[:, 0]
            return outputs if self.act is None else self.act(outputs)

        return run_episodes(
            simulations,
            policy,
            self.n_steps,
            rng,
            device=learner.device,
            seconds_per_step=self.seconds_per_step,
            film=film,
        )
