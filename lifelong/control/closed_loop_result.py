"""The result of a closed-loop evaluation, as written to ``closed_loop.json``.

Shapes: ``T`` rows (experiences), ``D`` domains, ``R`` robots per domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.control.drive import Drive
from lifelong.control.support_curve import SupportCurve
from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation import metrics
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import Row, interval


@dataclass(frozen=True)
class Intervals:
    """Store the mean of a measure over the robots of each domain, with 95 % intervals.

    Args:
        mean: ``D`` means; NaN if no robot has the measure.
        half_width: ``D`` half widths.
    """

    mean: list[float]
    half_width: list[float]

    @classmethod
    def of(cls, columns: Sequence[NDArray[np.float64] | None]) -> Intervals:
        """Compute the intervals over the robots ``(R,)`` of each domain that have the measure; None if there are none.

        Example:
            >>> Intervals.of([np.array([0.5, 0.5, np.nan]), None])
            Intervals(mean=[0.5, nan], half_width=[0.0, nan])
        """
        pairs = [_interval(column) for column in columns]
        return cls([mean for mean, _ in pairs], [half_width for _, half_width in pairs])


@dataclass(frozen=True, eq=False)
class ClosedLoopMatrix:
    """Store the closed-loop accuracy matrix of a stream and its metrics.

    Args:
        mean: ``(T, D)`` mean scores, NaN if no robot was driven.
        half_width: ``(T, D)`` half widths of their 95 % intervals.
        estimates: continual-learning metrics by name; None if not available.
        reasons: reasons why metrics are not available, by name.
    """

    mean: NDArray[np.float64]
    half_width: NDArray[np.float64]
    estimates: dict[str, Estimate | None]
    reasons: dict[str, str]

    @classmethod
    def of(cls, rows: Sequence[Row], data: StreamDataModule) -> ClosedLoopMatrix:
        """Compute the matrix from the scores ``(R,)`` of each domain's robots after each experience."""
        scores = np.array(rows)
        estimates = metrics.summary(scores, None, joint=data.joint, n_unseen=data.stream.n_unseen)
        reasons = metrics.reasons(scores, None, joint=data.joint, n_unseen=data.stream.n_unseen)
        estimates.pop("forward_transfer")  # an untrained learner is not driven
        return cls(*interval(scores), estimates, {n: why for n, why in reasons.items() if n in estimates})


@dataclass(frozen=True, eq=False)
class ClosedLoopResult:
    """Store the measurements of a closed-loop evaluation.

    Args:
        part: the part of the evaluation tasks that the support sets are drawn from.
        score: the main measure, ``success`` or ``return``.
        n_robots: number ``R`` of robots per domain.
        domains: names of the domains.
        measures: all measures by name.
        without_adaptation: all measures without adaptation; empty if this was not evaluated.
        failures: one sentence for each robot that failed, by domain.
        seconds: duration of the evaluation in seconds.
        after: in ``fit``, name of the experience learnt last.
        matrix: in ``fit``, the matrix of all rows so far.
        support_curve: error of the model by the size of the support set.
    """

    part: Part
    score: str
    n_robots: int
    domains: list[str]
    measures: dict[str, Intervals]
    without_adaptation: dict[str, Intervals]
    failures: dict[str, list[str]]
    seconds: float
    after: str | None = None
    matrix: ClosedLoopMatrix | None = None
    support_curve: SupportCurve | None = None

    @property
    def is_percentage(self) -> bool:
        """Return whether the score is shown as a percentage."""
        return self.score == "success"

    def file_name(self, name: str, suffix: str) -> str:
        """Return the name of a file; ``validate`` and ``test`` add the part and overwrite no files of ``fit``."""
        return f"{name}{suffix}" if self.after is not None else f"{name}_{self.part}{suffix}"

    def content(self) -> dict[str, Any]:
        """Return the content of the file by name."""
        content: dict[str, Any] = {"part": self.part, "score": self.score, "n_robots": self.n_robots}
        content["domains"] = self.domains
        if self.after is not None:
            content["after"] = self.after
        if (matrix := self.matrix) is not None:
            content |= {"matrix": matrix.mean, "matrix_half_width": matrix.half_width}
            content["metrics"] = {
                name: None if estimate is None else {"value": estimate.value, "half_width": estimate.half_width}
                for name, estimate in matrix.estimates.items()
            }
            content["reasons"] = matrix.reasons
        for name in ("measures", "without_adaptation"):
            content[name] = {measure: asdict(intervals) for measure, intervals in getattr(self, name).items()}
        content["failures"] = self.failures
        if self.support_curve is not None:
            content["support_curve"] = asdict(self.support_curve)
        return content | {"seconds": self.seconds}


def measured_intervals(drives: Sequence[Drive]) -> dict[str, Intervals]:
    """Return all measures of the drives of ``D`` domains."""
    names = dict.fromkeys(name for drive in drives for name in drive.measures)
    return {name: Intervals.of([drive.measures.get(name) for drive in drives]) for name in names}


def _interval(values: NDArray[np.float64] | None) -> tuple[float, float]:
    known = np.zeros(0) if values is None else values[np.isfinite(values)]  # an unstable robot may lack a measure
    if not known.size:
        return float("nan"), float("nan")
    mean, half_width = interval(known)
    return float(mean), float(half_width)
