"""What a comparison consists of: methods with their estimates, and the paired differences between them."""

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
"""A further metric: of the results of a run, a number or an estimate; it raises ValueError where it is not defined."""
IntervalKind = Literal["percentile", "bca", "t"]
"""How the interval of a paired difference is computed; see :mod:`lifelong.evaluation.significance`."""


@dataclass(frozen=True, eq=False)
class NamedRun:
    """Hold what was measured in a run, and which one it is.

    Args:
        name: for people: that of its folder.
        results: what was measured.
    """

    name: str
    results: Results

    @property
    def seed(self) -> int | None:
        """Return the seed of the run; None where its config does not say it."""
        seed = self.results.setting.config.get("seed")
        return seed if isinstance(seed, int) else None


@dataclass(frozen=True, eq=False)
class Method:
    """Hold a row of a comparison: the runs of one method, which differ in their seed alone, and what they measured.

    Args:
        label: short, and no other method's.
        runs: what was measured in each run, in the order of their seeds.
        names: of the run folders, in the same order.
        seeds: of the runs, in the same order; None where a config does not say it.
        estimates: of each metric by name: the mean over the runs with its 95 % interval over seeds; the interval is
            over evaluation units where there is one run. NaN with a reason where it is not available.
        memory_bytes: of learner and strategies, beside the network.
        seconds: wall time of a run.
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
        """Put the runs of a method together.

        Args:
            label: of the method.
            runs: one or more.
            metrics: further metrics by name.

        Raises:
            ValueError: when a further metric fails, or has the name of another.
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
        """Return what the intervals are over."""
        return "seeds" if len(self.runs) > 1 else "units"


@dataclass(frozen=True)
class Difference:
    """Hold how much better a method is than another on the same evaluation units, after the last experience.

    Args:
        label: of the method.
        against: label of the method that it is compared with.
        value: mean of ``label − against`` over units and domains; NaN where there is a reason.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided p value of the sign-flip permutation test.
        adjusted_p: the same, corrected for all comparisons of the table by Holm's method.
        exact: all sign flips were counted, and not a sample of them.
        n_units: evaluation units of all domains together.
        seeds: of the runs that were paired; the differences of a unit are averaged over them.
        reason: why there is no difference; empty where there is one.

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
    """Say how intervals and p values of paired differences are computed.

    Args:
        interval: ``percentile`` or ``bca`` bootstrap, or Student's ``t``.
        n_resamples: of the bootstrap, and of the sign-flip test where there are too many flips to count them all.
        seed: of both.
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
        except Exception as error:  # a function of a person's own
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
    """Return the mean over runs with its interval; that of a single run as it is."""
    if len(estimates) == 1:
        return estimates[0]
    reasons = dict.fromkeys(estimate.reason for estimate in estimates if estimate.reason)
    if reasons:
        return Estimate(math.nan, math.nan, "; ".join(reasons))
    mean, half_width = interval(np.array([estimate.value for estimate in estimates]))
    return Estimate(float(mean), float(half_width))
