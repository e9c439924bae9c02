"""What a comparison consists of: methods with their estimates, and the paired differences between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.results import Results

IntervalKind = Literal["percentile", "bca", "t"]
"""How the interval of a paired difference is computed; see :mod:`lifelong.evaluation.significance`."""


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
        >>> Difference("Replay", "no strategy", reason="other split").reason
        'other split'
    """

    label: str
    against: str
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    adjusted_p: float = np.nan
    exact: bool = False
    n_units: int = 0
    seeds: tuple[int | None, ...] = field(default=())
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
