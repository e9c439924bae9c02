"""Figures from a sweep's tables and the journal of its finished runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures.figure import Figure
from benchmarks.figures.quantities import COUNTED, PERCENT, Pair, Results, Unit, measures_of
from lifelong.sweep.names import check_named
from lifelong.sweep.result_tables import ResultTable, over_seeds, read_tables

Found = dict[tuple[str, str], Results]
"""Results of the finished runs of a table, by row and column."""
SCORES = {
    "average": "average_score",
    "learning": "learning_score",
    "forgetting": "forgetting",
    "backward transfer": "backward_transfer",
    "unseen": "unseen_score",
}
ANY = "any"
"""Placeholder for all columns of a row, for costs."""
PLAIN_HEADINGS = ("average", "learning", "forgetting", "last row", "kept", "minutes", "seeds")
AT = ("on", "learnt")
"""The score on a domain: at the end of the stream, or right after its experience."""


@dataclass(frozen=True)
class SweepTable:
    """Find figures in one table of a sweep.

    Args:
        name: name of the record for messages.
        rows: labels of the rows.
        columns: names of the columns; empty in a table without columns.
        found: results of the finished runs, by row and column.
        spread: ``interval`` or ``sem``.
        published: published values, by row and column.
        score: metric in the cells.
        first: heading of the labels.
    """

    name: str
    rows: Sequence[str]
    columns: Sequence[str]
    found: Found
    spread: str
    published: Mapping[tuple[str, str], str]
    score: str = "average"
    first: str = "run"

    @property
    def headings(self) -> Mapping[str, str]:
        """Return headings and quantities of the whole table, in its default form."""
        if self.columns:
            published = " published" if self.published else ""
            scores = {column: f"{shlex.quote(column)} {self.score}{published}" for column in self.columns}
            return scores | {"kept": f"{ANY} kept", "minutes": f"{ANY} minutes", "runs": f"{ANY} seeds"}
        return {name: shlex.quote(name) for name in PLAIN_HEADINGS}

    def label(self, row: str) -> str:
        """Return the label of a row."""
        return row

    def figure(self, row: str, column: str, quantity: str) -> Figure:
        """Return a figure; its text is empty if the runs do not have the quantity.

        Args:
            row: label of the row.
            column: name of the column; empty in a table without columns.
            quantity: name such as ``average``, ``last row``, ``kept``, ``on DOMAIN``, or that of a measure.

        Raises:
            ValueError: when a name is unknown; the message lists the known ones.
        """
        if quantity == "published":
            return Figure.of_text(self.published.get((row, column), ""))
        if column == ANY:
            results: Results | None = [run for (label, _), runs in self.found.items() if label == row for run in runs]
        else:
            results = self.found.get((row, column))
        if results is None:
            return Figure("–")  # the table has no such run
        if not results:
            where = ", ".join(filter(None, (row, column)))
            raise ValueError(f"the journal of {self.name} has no finished run of {where}: run the sweep with it")
        at, _, domain = quantity.partition(" ")
        if at in AT:
            return self._on(results, at, domain)
        known = dict.fromkeys([*SCORES, *COUNTED])
        measures = measures_of(results)
        known |= dict.fromkeys(("on DOMAIN", "learnt DOMAIN", "published"))
        check_named(f"{self.name} has no quantity", quantity, [*known, *measures])
        if quantity in COUNTED:
            return COUNTED[quantity](results)
        if quantity in SCORES:
            return self._score(results, quantity)
        return self._over_seeds(*measures[quantity])

    def _score(self, results: Results, quantity: str) -> Figure:
        found = [r["metrics"][SCORES[quantity]] for r in results if r["metrics"].get(SCORES[quantity])]
        return self._over_seeds([(f["value"], f["half_width"]) for f in found], PERCENT)

    def _on(self, results: Results, at: str, domain: str) -> Figure:
        """Return the score on a domain at the end of the stream, or right after its experience."""
        check_named(f"{self.name} has no domain", domain, results[0]["domains"])
        column = results[0]["domains"].index(domain)
        row = -1 if at == "on" else results[0]["experiences"].index(domain)
        return self._over_seeds([(r["matrix"][row][column], r["half_width"][row][column]) for r in results], PERCENT)

    def _over_seeds(self, values: Sequence[Pair], unit: Unit) -> Figure:
        """Return the mean over seeds with its spread; without text if unknown."""
        if not values:
            return Figure("")
        estimate = over_seeds([value for value, _ in values], [half for _, half in values], self.spread)
        if math.isnan(estimate.value):
            return Figure("")
        factor, digits = unit
        return Figure.of_number(factor * estimate.value, factor * estimate.half_width, digits + (self.spread == "sem"))


def read_sweep_tables(sweep_file: Path, journal_file: Path) -> dict[str, SweepTable]:
    """Read all tables of a sweep.

    Args:
        sweep_file: YAML file of the sweep.
        journal_file: journal of its runs.

    Raises:
        ValueError: when one of them is not what was written.
    """
    return {table.name: _sweep_table(sweep_file.name, table) for table in read_tables(sweep_file, journal_file)}


def _sweep_table(file: str, table: ResultTable) -> SweepTable:
    return SweepTable(
        f"{file}, {table.name}",
        list(dict.fromkeys(row.label for row in table.rows)),
        table.columns,
        {(row.label, row.column): list(row.results) for row in table.rows if row.n_seeds},
        table.spread,
        {(row.label, row.column): row.published for row in table.rows if row.published},
        {metric: name for name, metric in SCORES.items()}[table.score],
    )
