"""Comparison of methods over their seeds, with paired differences on the same evaluation units."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.evaluation import remarks
from lifelong.evaluation.comparability import unfinished
from lifelong.evaluation.compared import Difference, Method, Metric, NamedRun, Procedure
from lifelong.evaluation.comparison_sheet import captions, raw_sheet, sheet
from lifelong.evaluation.config_differences import NEAR
from lifelong.evaluation.grouping import Groups, config_differences
from lifelong.evaluation.html import sheet_html
from lifelong.evaluation.paired_difference import corrected, paired_difference
from lifelong.evaluation.sheets import Below, Sheet, csv_text, latex_text, markdown_text, plain_text, tables

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Store the metrics of several methods, and the paired differences from one of them, the reference method.

    ``print(comparison)`` prints the table as the command line does; a notebook shows it as HTML.

    Args:
        rows: the methods.
        differences: paired differences of all methods but the reference, in the order of the rows.
        against: label of the reference method.
        warnings: one sentence for each problem that makes runs not comparable.
        notes: further sentences for the reader, such as why a metric is not available.
        config_differences: differences between the configs of the methods as text, by dotted key and then by label;
            empty text if a method does not have the key.
        procedure: how intervals and p values were computed.
    """

    rows: tuple[Method, ...]
    differences: tuple[Difference, ...]
    against: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    config_differences: Mapping[str, Mapping[str, str]]
    procedure: Procedure

    def difference(self, label: str) -> Difference | None:
        """Return the paired difference of a method; None for the reference method.

        Args:
            label: label of the method.
        """
        return next((difference for difference in self.differences if difference.label == label), None)

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text for a terminal; columns that do not fit are placed below the others.

        Args:
            width: maximum number of characters per line. If None, the terminal's width.
        """
        width = shutil.get_terminal_size().columns if width is None else width
        return plain_text(self._sheet, self._below, width=width)

    def renderable(self, width: int) -> RenderableType:
        """Return the table for a console of rich, with colours.

        Args:
            width: maximum number of characters per line.
        """
        return tables(self._sheet, self._below, width=width)

    def to_markdown(self) -> str:
        """Return the table in Markdown, with its caption, notes and warnings."""
        return markdown_text(self._sheet, self._below)

    def to_latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_text(self._sheet, self._below)

    def to_csv(self) -> str:
        """Return the table as comma-separated values: all digits, raw scores, memory in bytes, time in seconds."""
        return csv_text(raw_sheet(self.rows, self.differences))

    def __repr__(self) -> str:
        return f"Comparison({', '.join(repr(row.label) for row in self.rows)})"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return sheet_html(self._sheet, [line for part in self._below.parts for line in part])

    @property
    def _sheet(self) -> Sheet:
        return sheet(self.rows, self.differences, self.against)

    @property
    def _below(self) -> Below:
        caption = captions(self.rows, self.differences, self.against, self.procedure)
        return Below(tuple(caption), self.notes, self.warnings)


def compare_methods(
    groups: Groups,
    *,
    against: str | None = None,
    metrics: Mapping[str, Metric] | None = None,
    procedure: Procedure | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Comparison:
    """Compare methods.

    If a method has finished runs, its unfinished runs are left out, and a warning names them.

    Args:
        groups: the runs of each method, by label.
        against: label of the reference method, or name of one of its runs. Default: the first method.
        metrics: custom metrics by name: functions of the results of a run.
        procedure: how intervals and p values of paired differences are computed.
        notes: further sentences for the reader.
        warnings: further warnings, such as on missing runs.

    Raises:
        ValueError: when no method has this label, or a custom metric fails.
    """
    procedure = procedure or Procedure()
    kept = {label: _finished(runs) for label, runs in groups.items()}
    rows = tuple(Method.of(label, runs, metrics) for label, runs in kept.items())
    reference = rows[0] if against is None else _find(against, rows)
    others = [row for row in rows if row is not reference]
    differences = corrected([paired_difference(row, reference, procedure) for row in others])
    return Comparison(
        rows,
        differences,
        reference.label,
        (*warnings, *remarks.of_runs(groups, kept), *remarks.of_methods(rows, reference)),
        (*notes, *remarks.on_metrics(rows), *remarks.on_pairs(differences, rows, reference, procedure)),
        config_differences(kept),
        procedure,
    )


def _finished(runs: Sequence[NamedRun]) -> list[NamedRun]:
    """Return the runs that have finished their stream; all runs if none has."""
    return [run for run in runs if not unfinished(run.results)] or list(runs)


def _find(label: str, rows: Sequence[Method]) -> Method:
    """Return the method with this label, or the method of the run with this name."""
    name = Path(label).name
    for row in rows:
        if label == row.label:
            return row
    for row in rows:
        if name in row.names:
            return row
    known = [row.label for row in rows]
    nearest = difflib.get_close_matches(label, known, 1, NEAR)
    way_out = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(map(repr, known))}"
    raise ValueError(f"there is no method {label!r} to compare with: {way_out}")
