"""The parts of a comparison: methods with their estimates, and paired differences between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from typing_extensions import Self

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.results import Results

Metric: TypeAlias = Callable[[Results], Estimate | float]
"""A custom metric: maps a run's results to a number or an estimate; raises ValueError where it is not defined."""
IntervalKind = Literal["percentile", "bca", "t"]
"""How the interval of a paired difference is computed; see :mod:`lifelong.evaluation.significance`."""


@dataclass(frozen=True, eq=False)
class NamedRun:
    """Store the results of a run with its name.

    Args:
        name: name of the run folder.
        results: results of the run.
    """

    name: str
    results: Results

    @property
    def seed(self) -> int | None:
        """Return the seed of the run; None if its config has none."""
        seed = self.results.setting.config.get("seed")
        return seed if isinstance(seed, int) else None


@dataclass(frozen=True, eq=False)
class Method:
    """Store one row of a comparison: the runs of a method, which differ only in their seed, and their metrics.

    Args:
        label: short, unique label of the method.
        runs: results of each run, sorted by seed.
        names: names of the run folders, in the same order.
        seeds: seeds of the runs, in the same order; None if a config has none.
        estimates: metrics by name: the mean over runs with its 95 % interval over seeds. For a single run the interval
            is over evaluation units. NaN with a reason if a metric is not available.
        memory_bytes: memory of learner and strategies without the network, in bytes; mean over runs.
        seconds: wall time of a run; mean over runs.
    """

    label: str
    runs: tuple[Results, ...]
    names: tuple[str, ...]
    seeds: tuple[int | None, ...]
    estimates: Mapping[str, Estimate]
    memory_bytes: Estimate
    seconds: Estimate

    @classmethod
    def of(cls, label: str, runs: Sequence[NamedRun], metrics: Mapping[str, Metric] | None = None) -> Self:
        """Combine the runs of a method.

        Args:
            label: label of the method.
            runs: one or more runs.
            metrics: custom metrics by name.

        Raises:
            ValueError: when a custom metric fails, or has the name of another metric.
        """
        runs = sorted(runs, key=lambda run: -1 if run.seed is None else run.seed)
        measured = [_measured(run, metrics or {}) for run in runs]
        names = dict.fromkeys(name for of_run in measured for name in of_run)
        settings = [run.results.setting for run in runs]
        return cls(
            label,
            tuple(run.results for run in runs),
            tuple(run.name for run in runs),
            tuple(run.seed for run in runs),
            {name: _over_runs([of_run.get(name, MISSING) for of_run in measured]) for name in names},
            _over_runs([_number(s.learner_bytes + sum(s.strategy_bytes.values())) for s in settings]),
            _over_runs([_number(s.wall_seconds) for s in settings]),
        )

    @property
    def over(self) -> Literal["seeds", "units"]:
        """Return whether the intervals are over seeds or over evaluation units."""
        return "seeds" if len(self.runs) > 1 else "units"


@dataclass(frozen=True)
class Difference:
    """Store the paired difference of two methods on the same evaluation units, after the last experience.

    Args:
        label: label of the method.
        against: label of the method that it is compared with.
        value: mean of ``label − against`` over units and domains; NaN if there is a reason.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        p: two-sided p value of the sign-flip permutation test.
        adjusted_p: the p value corrected for all comparisons of the table by Holm's method.
        exact: whether all sign flips were counted instead of a random sample.
        n_units: number of evaluation units in all domains.
        seeds: seeds of the paired runs; the differences of a unit are averaged over them.
        reason: why there is no difference; empty if there is one.

    Example:
        >>> Difference("Replay", "no strategy", reason="another split").reason
        'another split'
    """

    label: str
    against: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    adjusted_p: float = math.nan
    exact: bool = False
    n_units: int = 0
    seeds: tuple[int | None, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Procedure:
    """Define how intervals and p values of paired differences are computed.

    Args:
        interval: ``percentile`` or ``bca`` bootstrap, or Student's ``t``.
        n_resamples: number of bootstrap resamples, and of sign flips if there are too many to count them all.
        seed: random seed of both.
    """

    interval: IntervalKind = "percentile"
    n_resamples: int = 9999
    seed: int = 0


MISSING = Estimate(math.nan, math.nan, "not measured")


def _measured(run: NamedRun, metrics: Mapping[str, Metric]) -> dict[str, Estimate]:
    """Return all metrics of a run by name."""
    measured = dict(run.results.metrics)
    for name, metric in metrics.items():
        if name in measured:
            raise ValueError(f"there is a metric {name} already: give yours another name")
        try:
            value = metric(run.results)
        except ValueError as error:
            measured[name] = Estimate(math.nan, math.nan, str(error))
            continue
        except Exception as error:  # the function is the user's
            raise ValueError(f"the metric {name} failed on {run.name}: {type(error).__name__}: {error}") from error
        measured[name] = _estimate(name, value)
    return measured


def _estimate(name: str, value: object) -> Estimate:
    if isinstance(value, Estimate):
        return value
    if np.ndim(value) != 0 or isinstance(value, str | bool) or value is None:  # type: ignore[arg-type]
        raise ValueError(
            f"the metric {name} returned a {type(value).__name__}: it must return a number or an Estimate, or raise "
            "ValueError where it is not defined"
        )
    number = float(value)  # type: ignore[arg-type]
    return Estimate(number, math.nan, "not a number" if math.isnan(number) else "")


def _number(value: float) -> Estimate:
    return Estimate(float(value), math.nan)


def _over_runs(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over runs with its interval; for a single run, its own estimate."""
    if len(estimates) == 1:
        return estimates[0]
    reasons = dict.fromkeys(estimate.reason for estimate in estimates if estimate.reason)
    if reasons:
        return Estimate(math.nan, math.nan, "; ".join(reasons))
    mean, half_width = interval(np.array([estimate.value for estimate in estimates]))
    return Estimate(float(mean), float(half_width))
