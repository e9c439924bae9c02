"""Results: all measurements of a run. Reports, plots and comparisons are functions of them.

Shapes: ``T`` rows (experiences), ``D`` domains, ``n`` evaluation units of a domain.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Self

from lifelong.evaluation import metrics, plots, tables
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.html import matrix_html, metrics_html
from lifelong.evaluation.intervals import Scores, interval, plain, stacked, unpadded
from lifelong.evaluation.packing import pack, unpack
from lifelong.evaluation.setting import Setting
from lifelong.utilities.files import write_json, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

RESULTS, SCORES = "results.json", "scores.npz"
"""The files in a run folder."""
UNTRAINED = "untrained"


@dataclass(frozen=True, eq=False)
class Results:
    """Store the scores of every evaluation unit of every domain after every experience of a run.

    Args:
        setting: data, learner, strategies and conditions of the run.
        rows: scores ``(D, n)`` after each experience, by measure. ``score`` is the learner's score; other measures are
            reported by strategies. Empty if the results were loaded without them.
        untrained: ``(D, n)`` scores of the untrained learner on the same units, or None.
        name: name of the run, for titles; the name of its folder.

    Example:
        >>> results = Results(Setting(("a", "b"), ("a", "b")), {"score": [np.eye(2, 3), np.ones((2, 3))]})
        >>> results.matrix.round(2).tolist()
        [[0.33, 0.33], [1.0, 1.0]]
        >>> round(results.metrics["backward_transfer"].value, 2), results.metrics["forward_transfer"].reason
        (0.67, 'no score of the untrained learner')
    """

    setting: Setting
    rows: Mapping[str, Sequence[Scores]] = field(repr=False)
    untrained: Scores | None = field(default=None, repr=False)
    name: str = ""

    # -- numbers --------------------------------------------------------------------------------------------------

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the names of the domains, the columns of the matrix."""
        return self.setting.domains

    @property
    def experiences(self) -> tuple[str, ...]:
        """Return the names of the experiences learnt, the rows of the matrix."""
        return self.setting.experiences[: len(self.matrix)]

    @property
    def plan(self) -> str:
        """Return the plan by which the tasks of a batch were run, such as ``loop`` or ``vmap``."""
        return self.setting.plan

    def scores(self, measure: str = "score") -> Scores:
        """Return the scores ``(T, D, n)`` of all units: NaN if not evaluated, masked where a domain has fewer units.

        Args:
            measure: ``score``, or a measure that a strategy reports.

        Raises:
            ValueError: when the results were loaded without these scores.
        """
        if measure not in self.rows:
            raise ValueError(
                f"there are no scores of the measure {measure!r}: known are {', '.join(self.rows) or 'none'}; "
                f"{SCORES} in the run folder holds them"
            )
        return stacked(self.rows[measure])

    @cached_property
    def matrix(self) -> Array:
        """Return the accuracy matrix ``(T, D)``: the mean score on domain ``j`` after experience ``i``."""
        return self._intervals[0]

    @cached_property
    def half_widths(self) -> Array:
        """Return the half widths ``(T, D)`` of the 95 % intervals of the matrix."""
        return self._intervals[1]

    @cached_property
    def averages(self) -> tuple[Estimate, ...]:
        """Return the average of each row over the domains learnt by then."""
        return tuple(metrics.row_averages(self.scores(), joint=self._in_one_row, n_unseen=self.setting.n_unseen))

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """Return the continual-learning metrics by name; a metric that is not available is NaN with a reason."""
        setting, scores = self.setting, self.scores()
        disjoint, joint, n_unseen = setting.disjoint, self._in_one_row, setting.n_unseen
        summary = metrics.summary(scores, self.untrained, joint=joint, disjoint=disjoint, n_unseen=n_unseen)
        reasons = metrics.reasons(scores, self.untrained, joint=joint, disjoint=disjoint, n_unseen=n_unseen)
        estimates = {name: e or Estimate(np.nan, np.nan, reasons[name]) for name, e in summary.items()}
        # A checkpoint that is evaluated outside its stream has an average, but no history.
        return {name: e for name, e in estimates.items() if not (self.setting.checkpoint and e.reason)}

    @cached_property
    def untrained_means(self) -> Array | None:
        """Return the mean score ``(D,)`` of the untrained learner, or None."""
        return None if self.untrained is None else plain(self.untrained.mean(-1))

    @cached_property
    def measures(self) -> dict[str, Array]:
        """Return the means ``(T, D)`` of each measure that strategies report."""
        return {name: plain(stacked(rows).mean(-1)) for name, rows in self.rows.items() if name != "score"}

    @cached_property
    def last_measures(self) -> dict[str, Estimate]:
        """Return the mean of each measure after the last experience, over all units."""
        estimates = {}
        for name in sorted(self.measures):
            mean, half_width = interval(unpadded(self.rows[name][-1].reshape(-1)))
            estimates[name] = Estimate(float(mean), float(half_width))
        return estimates

    def scalars(self) -> dict[str, float]:
        """Return the last row and the metrics so far, by the names used in loggers."""
        part = self.setting.part
        last = interval(self.rows["score"][-1])[0]
        per_domain = {f"{part}/score/{name}": float(mean) for name, mean in zip(self.domains, last, strict=True)}
        return per_domain | {f"{part}/{name}": e.value for name, e in self.metrics.items() if not e.reason}

    @cached_property
    def _intervals(self) -> tuple[Array, Array]:
        return interval(self.scores())

    @property
    def _in_one_row(self) -> bool:
        return self.setting.joint or self.setting.checkpoint

    # -- text and figures -----------------------------------------------------------------------------------------

    def line(self) -> str:
        """Return the line that is printed after an experience, for the last one so far."""
        setting, n_rows, row = self.setting, len(self.rows["score"]), self.rows["score"][-1]
        n_learnt = len(row) - setting.n_unseen if setting.joint else n_rows
        return tables.row_line(
            n_rows - 1,
            len(setting.experiences),
            setting.experiences[n_rows - 1],
            interval(row)[0],
            metrics.row_averages(row[None, :n_learnt], joint=True)[0],
            setting.domains,
            percent=setting.percent,
            joint=setting.joint,
            n_unseen=setting.n_unseen,
        )

    def tables(self, width: int | None = None) -> Iterator[RenderableType]:
        """Yield the tables for a terminal: the matrix, the metrics, and the measures reported by strategies.

        Args:
            width: maximum number of characters per line. If None, the terminal's width.
        """
        setting = self.setting
        yield tables.matrix_table(
            *self._named_matrix(),
            self.averages,
            percent=setting.percent,
            joint=self._in_one_row,
            n_unseen=setting.n_unseen,
            title=self._title,
            width=width,
        )
        if setting.checkpoint:
            return
        yield tables.metrics_table(self.metrics, percent=setting.percent, score_name=setting.score_name)
        for name, estimate in self.last_measures.items():
            yield f"{name}: {estimate.text(3)} over all domains"

    def __str__(self) -> str:
        from rich.console import Console

        memory = io.StringIO()
        console = Console(file=memory, color_system=None, highlight=False)
        for table in self.tables(console.width):
            console.print(table)
        return "\n".join(line.rstrip() for line in memory.getvalue().splitlines())

    def _repr_html_(self) -> str:
        percent = self.setting.percent
        matrix = matrix_html(*self._named_matrix(), self.averages, percent=percent, title=self._title)
        return matrix + metrics_html(self.metrics, percent=percent, score_name=self.setting.score_name)

    def plot(self) -> Figure:
        """Draw the matrix as a heat map, and next to it the score of every domain over the stream."""
        return plots.results_figure(*self._named_matrix(), self.averages, **self._style())

    def plot_matrix(self) -> Figure:
        """Draw the matrix as a heat map."""
        return plots.accuracy_matrix_figure(*self._named_matrix(), averages=self.averages, **self._style())

    def plot_curves(self) -> Figure:
        """Draw the score of every domain over the stream."""
        return plots.forgetting_curves_figure(*self._named_matrix(), self.averages, **self._style())

    def _named_matrix(self) -> tuple[Array, Array, Sequence[str], Sequence[str]]:
        return self.matrix, self.half_widths, self.experiences, self.domains

    def _style(self) -> Any:
        setting = self.setting
        style = {"title": setting.title_of(self.name), "score_name": setting.score_name, "percent": setting.percent}
        return style | {"joint": self._in_one_row, "n_unseen": setting.n_unseen}

    @property
    def _title(self) -> str:
        setting = self.setting
        if setting.checkpoint:
            return f"{setting.score_name} on {setting.evaluation}"
        return f"{setting.score_name} on {setting.part} tasks (rows: after learning; columns: evaluated on)"

    # -- files ----------------------------------------------------------------------------------------------------

    def of_run(self, name: str, config: Mapping[str, Any]) -> Results:
        """Return a copy of the results with the run's name and config."""
        return replace(self, name=name, setting=replace(self.setting, config=dict(config)))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``results.json``: everything except the scores of single units."""
        available = {name: None if e.reason else e for name, e in self.metrics.items()}
        return self.setting.to_dict() | {
            "matrix": self.matrix,
            "half_width": self.half_widths,
            "averages": [_estimate(e) for e in self.averages],
            UNTRAINED: self.untrained_means,
            "metrics": {name: None if e is None else _estimate(e) for name, e in available.items()},
            "reasons": {name: e.reason for name, e in self.metrics.items() if e.reason},
            "measures": self.measures,
            "last_measures": {name: _estimate(e) for name, e in self.last_measures.items()},
        }

    @classmethod
    def from_dict(
        cls,
        content: Mapping[str, Any],
        rows: Mapping[str, Sequence[Scores]] | None = None,
        untrained: Scores | None = None,
        name: str = "",
    ) -> Self:
        """Restore results from the output of :meth:`to_dict`, and the scores of single units if available.

        Args:
            content: output of :meth:`to_dict`, also after a round trip through JSON.
            rows: scores after each experience, by measure.
            untrained: scores of the untrained learner.
            name: name of the run.

        Raises:
            ValueError: when an entry is missing.
        """
        try:
            results = cls(Setting.from_dict(content), rows or {}, untrained, name)
            reasons = content["reasons"]
            numbers = {
                "matrix": _array(content["matrix"]),
                "half_widths": _array(content["half_width"]),
                "averages": tuple(_read(e) for e in content["averages"]),
                "metrics": {
                    name: Estimate(np.nan, np.nan, reasons[name]) if e is None else _read(e)
                    for name, e in content["metrics"].items()
                },
                "untrained_means": None if content[UNTRAINED] is None else _array(content[UNTRAINED]),
                "measures": {name: _array(values) for name, values in content["measures"].items()},
                "last_measures": {name: _read(e) for name, e in content["last_measures"].items()},
            }
        except KeyError as error:
            raise ValueError(
                f"the results have no entry {error}: they were written by another version of lifelong; run it again"
            ) from error
        vars(results).update(numbers)  # cached properties store their values there
        return results

    def save(self, folder: str | Path) -> None:
        """Write ``results.json``, and ``scores.npz`` with the scores of single units; each write is atomic."""
        rows = dict(self.rows) | ({} if self.untrained is None else {UNTRAINED: [self.untrained]})
        arrays = {f"{name}/{part}": array for name, of_name in rows.items() for part, array in pack(of_name).items()}

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez_compressed(file, **{name: _smaller(array) for name, array in arrays.items()})  # type: ignore[arg-type]

        write_whole(Path(folder) / SCORES, write)
        write_json(Path(folder) / RESULTS, self.to_dict())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the files written by :meth:`save`; without ``scores.npz``, the scores of single units are missing.

        Raises:
            ValueError: when there is no ``results.json``, or another version wrote it in another format.
        """
        path, scores = Path(folder) / RESULTS, Path(folder) / SCORES
        if not path.is_file():
            raise ValueError(f"there is no {path}: a run writes it after its first experience; give its folder")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no results.json of a run ({error}): give the folder of another") from error
        rows: dict[str, list[Scores]] = {}
        if scores.is_file():
            with scores.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                names = dict.fromkeys(name.rpartition("/")[0] for name in arrays.files)
                parts = ("shape", "n_units", "cells", "scores")
                rows = {name: unpack({part: arrays[f"{name}/{part}"] for part in parts}) for name in names}
        untrained = rows.pop(UNTRAINED, None)
        name = Path(folder).resolve().name
        return cls.from_dict(content, rows, None if untrained is None else untrained[0], name)


def _smaller(array: np.ndarray) -> np.ndarray:
    """Return scores in single precision if that loses nothing, which is the usual case."""
    if array.dtype != np.float64:
        return array
    single = array.astype(np.float32)
    return single if np.array_equal(single, array, equal_nan=True) else array


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "half_width": estimate.half_width}


def _read(estimate: Mapping[str, Any]) -> Estimate:
    return Estimate(float(_array(estimate["value"])), float(_array(estimate["half_width"])))


def _array(values: Any) -> Array:
    """Return numbers as floats; in JSON, NaN is null and infinities are text."""
    return np.array(values, dtype=float)
