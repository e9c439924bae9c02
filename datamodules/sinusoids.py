"""Sinusoids: the regression tasks of MAML, with one domain per frequency.

Shapes: ``F`` functions, ``P`` points of each, ``M = F·P`` examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number

X_RANGE = (-5.0, 5.0)


class Sinusoids(Source):
    """Draw few-shot regression of ``y = A sin(f x − φ)`` from points with ``x`` uniform in [−5, 5].

    Args:
        n_functions: functions per domain; whole functions are held out for evaluation.
        n_points: points per function, at least the shots plus queries of a task.
        amplitude: range of ``A``.
        phase: range of ``φ``, in radians.
        frequencies: ``f`` of each domain, in radians per unit of ``x``.
        seed: seed of functions and points.

    Raises:
        ValueError: when there is no frequency, function or point, or a range is reversed.

    Reference:
        Finn, Abbeel, Levine 2017, Model-Agnostic Meta-Learning, section 5.1 (one domain with ``f = 1``).

    Example:
        >>> domain = Sinusoids(n_functions=3, n_points=4).domains()[0]
        >>> domain.x.shape, domain.targets.shape
        (torch.Size([12, 1]), torch.Size([12, 1]))
    """

    def __init__(
        self,
        *,
        n_functions: int = 1000,
        n_points: int = 40,
        amplitude: tuple[float, float] = (0.1, 5.0),
        phase: tuple[float, float] = (0.0, math.pi),
        frequencies: Sequence[float] = (1.0,),
        seed: int = 0,
    ) -> None:
        check_number("Sinusoids' n_functions", n_functions, least=1, whole=True)
        check_number("Sinusoids' n_points", n_points, least=1, whole=True)
        check_number("Sinusoids' seed", seed, least=0, whole=True)
        for name, value in [("frequencies", f) for f in frequencies] + [("amplitude", a) for a in amplitude]:
            check_number(f"Sinusoids' {name}", value)
        for value in phase:
            check_number("Sinusoids' phase", value)
        if not frequencies:
            raise ValueError(
                f"Sinusoids has n_functions {n_functions}, n_points {n_points} and frequencies {list(frequencies)}: "
                f"give at least one of each"
            )
        for name, (low, high) in (("amplitude", amplitude), ("phase", phase)):
            if low > high:
                raise ValueError(f"{name} is ({low}, {high}): give the lower end first")
        self.n_functions = n_functions
        self.n_points = n_points
        self.amplitude = amplitude
        self.phase = phase
        self.frequencies = frequencies
        self.seed = seed

    def domains(self) -> list[Domain]:
        """Draw one domain per frequency; the class index of a point is its function."""
        return [self._domain(index, frequency) for index, frequency in enumerate(self.frequencies)]

    def _domain(self, index: int, frequency: float) -> Domain:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, index])))
        amplitude = rng.uniform(*self.amplitude, size=(self.n_functions, 1))
        phase = rng.uniform(*self.phase, size=(self.n_functions, 1))
        x = rng.uniform(*X_RANGE, size=(self.n_functions, self.n_points))
        y = amplitude * np.sin(frequency * x - phase)
        names = [f"{a:.3f} sin({frequency:g} x - {p:.3f})" for a, p in zip(amplitude[:, 0], phase[:, 0], strict=True)]
        return Domain(
            f"frequency {frequency:g}",
            torch.from_numpy(x.reshape(-1, 1)).float(),
            np.repeat(np.arange(self.n_functions), self.n_points),
            names,
            targets=torch.from_numpy(y.reshape(-1, 1)).float(),
        )
