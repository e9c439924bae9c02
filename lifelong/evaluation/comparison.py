"""Comparison: methods beside each other, each over its seeds, and their paired differences on the same units."""

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
    """Hold methods beside each other: what each measured, and how much better it is than one of them.

    ``print(comparison)`` shows the table as the command line prints it; a notebook shows it as HTML.

    Args:
        rows: the methods.
        differences: of every method but the one that the others are compared with, in the order of the rows.
        against: label of that one.
        warnings: a sentence for everything that makes runs not comparable.
        notes: a sentence for what else a reader must know, such as why a metric is not available.
        config_differences: what differs between the configs of the methods: by dotted key, then by label, as text;
            empty text where a method has no such key.
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
        """Return the paired difference of a method; None for the one that the others are compared with.

        Args:
            label: of the method.
        """
        return next((difference for difference in self.differences if difference.label == label), None)

    def to_text(self, width: int | None = None) -> str:
        """Return the table for a terminal; columns that do not fit go below the others.

        Args:
            width: most characters in a line; None takes the terminal's.
        """
        width = shutil.get_terminal_size().columns if width is None else width
        return plain_text(self._sheet, self._below, width=width)

    def renderable(self, width: int) -> RenderableType:
        """Return the same for a console of rich, with colours.

        Args:
            width: most characters in a line.
        """
        return tables(self._sheet, self._below, width=width)

    def to_markdown(self) -> str:
        """Return the table in Markdown, with what a reader must know below it."""
        return markdown_text(self._sheet, self._below)

    def to_latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_text(self._sheet, self._below)

    def to_csv(self) -> str:
        """Return the table as comma-separated values: all digits, scores as they were measured, bytes and seconds."""
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
    """Put methods beside each other.

    Of a method with finished runs those that have not learnt their stream to the end are left out, and named.

    Args:
        groups: the runs of each method, by its label.
        against: label of the method that the others are compared with, or name of a run of it; None is the first.
        metrics: further metrics by name: functions of the results of a run.
        procedure: how intervals and p values of paired differences are computed.
        notes: further sentences for the reader.
        warnings: further ones, on runs that are not there.

    Raises:
        ValueError: without a method of this label, or when a further metric fails.
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
    """Return the runs that have come to the end of their stream; all of them where none has."""
    return [run for run in runs if not unfinished(run.results)] or list(runs)


def _find(label: str, rows: Sequence[Method]) -> Method:
    """Return the method of a label, or that of a run of this name."""
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
