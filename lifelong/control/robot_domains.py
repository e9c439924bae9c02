"""The domains of a stream in which robots can be driven.

Shapes: ``R`` robots of a domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from lifelong.compute.evaluating import evaluating
from lifelong.control.control_source import ControlSource
from lifelong.control.drive import Drive
from lifelong.control.simulation import Dynamics, Simulation
from lifelong.control.support_curve import SupportCurve, default_sizes, errors_by_size, evaluation_shape, windows
from lifelong.data.kinds import Part
from lifelong.data.sampling import generator
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.progress_bar import show_progress

MAX_WINDOWS = 64
"""Number of tasks per domain for the model's error."""


class RobotDomains:
    """Drive unseen robots in the domains of a stream, with the same robots and episodes for all methods and seeds.

    Args:
        data: the stream.
        domains: names of the domains to drive in. Default: all domains that have robots.
        n_robots: number ``R`` of robots per domain.

    Raises:
        ValueError: when no domain of the stream has robots, or a given domain has none.
    """

    def __init__(self, data: StreamDataModule, domains: Sequence[str] | None, n_robots: int) -> None:
        origins = enumerate(data.origins)
        sources = {number: (source, i) for number, (source, i) in origins if isinstance(source, ControlSource)}
        if not sources or data.unit != "tasks":
            raise ValueError(
                "there are no robots to drive: the stream has no few-shot tasks of any (a ControlSource); choose a "
                "run of robots (--config robot_car makes one), or leave ClosedLoop out of --trainer.callbacks"
            )
        names = data.stream.domains
        if domains is not None:
            _check_names(domains, [names[number] for number in sources])
        self._sources = {n: place for n, place in sources.items() if domains is None or names[n] in domains}
        self.data, self.n_robots = data, n_robots
        self.numbers = sorted(self._sources)
        self.names = [names[number] for number in self.numbers]

    def drive(self, module: StreamModule, part: Part, *, adapt: bool = True, film: bool = False) -> list[Drive]:
        """Drive the robots of every domain.

        Args:
            module: the learner with its strategies.
            part: part of the evaluation tasks for support sets; ``val`` and ``test`` use different robots.
            adapt: if False, drive without adaptation.
            film: record frames of the first robot of each domain.
        """
        title = "closed loop: domains" if adapt else "closed loop without adaptation: domains"
        with evaluating(module):
            return [
                self._drive_in(number, module, part, adapt=adapt, film=film)
                for number in show_progress(self.numbers, title)
            ]

    def drive_last(
        self, module: StreamModule, part: Part, *, seed: int | None = None, adapt: bool = True, film: bool = False
    ) -> tuple[Drive, Dynamics]:
        """Drive only the last of the ``R`` robots of the first domain.

        Args:
            module: the learner with its strategies.
            part: part of the evaluation tasks for its support set.
            seed: seed of different robots. If None, those of the evaluation.
            adapt: if False, drive without adaptation.
            film: record frames of it.

        Returns:
            The drive, and the parameters of the robot's dynamics.
        """
        with evaluating(module):
            simulations = self._simulations(self.numbers[0], part, seed)
            try:
                last = range(self.n_robots - 1, self.n_robots)
                drive = self._drive(self.numbers[0], module, part, simulations, last, seed, adapt=adapt, film=film)
                return drive, simulations[-1].dynamics
            finally:
                _close(simulations)

    def _drive_in(self, number: int, module: StreamModule, part: Part, *, adapt: bool, film: bool) -> Drive:
        simulations = self._simulations(number, part)
        try:
            robots = range(self.n_robots)
            return self._drive(number, module, part, simulations, robots, adapt=adapt, film=film)
        finally:
            _close(simulations)

    def _simulations(self, number: int, part: Part, seed: int | None = None) -> list[Simulation]:
        source, domain = self._sources[number]
        return source.simulations(domain, self.n_robots, self._generator(number, part, 0, seed))

    def _drive(
        self,
        number: int,
        module: StreamModule,
        part: Part,
        simulations: Sequence[Simulation],
        robots: range,
        seed: int | None = None,
        *,
        adapt: bool,
        film: bool,
    ) -> Drive:
        """Drive some of the robots of a domain."""
        source, _ = self._sources[number]
        n_tasks = self.data.n_eval_units(part, number)
        units = [i % n_tasks for i in robots]
        support = self.data.draw_for_evaluation(part, number, units).gather(module.learner.device)
        chosen, episodes = [simulations[i] for i in robots], self._generator(number, part, 1, seed)
        return source.controller.drive(
            module.learner, chosen, support, episodes, runner=module.runner, adapt=adapt, film=film
        )

    def _generator(self, number: int, part: Part, purpose: int, seed: int | None) -> np.random.Generator:
        """Return the random generator of a domain's robots (0) or episodes (1).

        Each part has its own generators, so test robots differ from those on which settings were chosen.
        """
        place = 2 * (part == "test") + purpose
        return generator(self.data.split_seed, "drive", number, place if seed is None else 4 + 4 * seed + place)

    def support_curve(self, module: StreamModule, part: Part, sizes: list[int]) -> SupportCurve:
        """Measure the model's error in each domain by the size of the support set."""
        errors, device = [], module.learner.device
        with evaluating(module):
            for number in show_progress(self.numbers, "model error by support size: domains"):
                n_tasks = min(self.data.n_eval_units(part, number), MAX_WINDOWS)
                batch = windows(self.data, part, number, max(*sizes, 1), n_tasks, device)
                errors.append(errors_by_size(module.learner, batch, sizes, runner=module.runner))
        return SupportCurve.of(errors, sizes)

    def support_sizes(self, sizes: Sequence[int] | None) -> list[int]:
        """Return the support set sizes in ascending order; None selects sizes that suit the evaluation tasks."""
        if sizes is None:
            return default_sizes(evaluation_shape(self.data, "val", self.numbers[0]).n_shot)
        return sorted(set(sizes))

    def check_support_sizes(self, sizes: Sequence[int]) -> None:
        """Raise an error if a domain has too few examples for a support set size.

        Raises:
            ValueError: when a class is too small; the message names it.
        """
        parts: tuple[Part, ...] = ("val", "test")
        for number in self.numbers if sizes else ():
            for part in parts:
                windows(self.data, part, number, max(*sizes, 1), 1, torch.device("cpu"))


def check_answers(strategies: Iterable[Strategy]) -> None:
    """Raise an error if a strategy predicts whole tasks instead of the learner.

    Raises:
        ValueError: when there is one; the message names the strategy.
    """
    for strategy in strategies:
        if strategy.responds("tasks"):
            raise ValueError(
                f"{type(strategy).__name__} replaces the learner's outputs for whole tasks, which a controller cannot "
                "use in every step: leave out ClosedLoop or the strategy"
            )


def _close(simulations: Sequence[Simulation]) -> None:
    for simulation in simulations:
        simulation.close()


def _check_names(chosen: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in chosen if name not in known]
    if missing or not chosen:
        problem = f"has no robots in {', '.join(missing)}" if missing else "has an empty list of domains"
        raise ValueError(f"what is to be driven {problem}: choose domains from {', '.join(known)}")
