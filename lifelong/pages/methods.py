"""Methods as drawn in a comparison, with one matrix and one average over their runs.

Shapes: ``T`` rows (experiences), ``D`` columns (domains).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lifelong.evaluation.comparability import obstacles
from lifelong.evaluation.compared import MISSING, Method
from lifelong.evaluation.comparison import Comparison
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.results import Results
from lifelong.evaluation.tables import unit
from lifelong.pages.view import View, view_of

LENGTH = 28
"""Largest number of characters of a method's label; its end is kept, as it distinguishes methods."""


@dataclass(frozen=True)
class MethodView:
    """Hold a method for drawing.

    Args:
        label: label of the method.
        view: mean of its runs' matrices, with 95 % intervals over seeds. For a single run, the matrix and intervals of
            the run.
        final: average after the last experience, in the unit of the score.
        n_bytes: memory of the learner and the strategies.
        seconds: time of a run.
        apart: why it is not comparable with the baseline. Empty if it is.
        remark: remark on its runs, for captions.
    """

    label: str
    view: View
    final: Estimate
    n_bytes: float
    seconds: float
    apart: str
    remark: str


def method_views(comparison: Comparison) -> list[MethodView]:
    """Return the methods of a comparison for drawing, in its order."""
    reference = next(row for row in comparison.rows if row.label == comparison.against)
    return [_view_of_method(row, reference) for row in comparison.rows]


def _view_of_method(row: Method, reference: Method) -> MethodView:
    view, remark = _mean_view(row.runs)
    # A method is drawn with the others only if all of its runs are comparable with the baseline.
    apart = dict.fromkeys(str(o) for run in row.runs for o in obstacles(reference.runs[0], run))
    average = row.estimates.get("average_score", MISSING)
    return MethodView(
        row.label,
        view,
        average.scaled(unit(row.runs[0].setting.percent)),
        row.memory_bytes.value,
        row.seconds.value,
        "; ".join(apart),
        remark,
    )


def _mean_view(runs: Sequence[Results]) -> tuple[View, str]:
    """Return the mean matrix of runs of one shape, or else that of the first run, and a sentence that says which."""
    views = [view_of(run) for run in runs]
    if len(runs) == 1:
        return views[0], ""
    if len({view.values.shape for view in views}) > 1:
        return views[0], f"Of {len(runs)} runs, which have different shapes, the first."
    values, widths = interval(np.stack([view.values for view in views], axis=-1))
    averages = []
    for at_row in zip(*(view.averages for view in views), strict=True):
        mean, half_width = interval(np.array([average.value for average in at_row]))
        averages.append(Estimate(float(mean), float(half_width)))
    mean_view = replace(views[0], values=values, widths=widths, averages=tuple(averages))
    return mean_view, f"Mean of {len(runs)} runs; point at a cell for its 95 % interval over seeds."
