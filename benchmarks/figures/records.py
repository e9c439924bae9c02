"""Records by name: journals of sweeps, results of benchmark suites, and manually stored outputs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import yaml

from benchmarks.figures.figure import Figure
from benchmarks.figures.sweeps import read_sweep_tables
from benchmarks.performance.layout import load
from benchmarks.performance.tables import TABLES as PERFORMANCE
from benchmarks.recorded_sweeps import recorded_sweeps
from benchmarks.reliability.tables import TABLES as RELIABILITY
from lifelong.sweep.names import check_keys, check_named

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
KEYS = ("about", "command", "date", "machine", "tables")
"""Of a file under ``measured``."""


class Table(Protocol):
    """A record's table: rows of figures, optionally with columns."""

    @property
    def name(self) -> str:
        """Return its name, for messages."""

    @property
    def first(self) -> str:
        """Return the heading of the labels' column."""

    @property
    def rows(self) -> Sequence[str]:
        """Return the labels of its rows."""

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of its columns; empty in a table with quantities only."""

    @property
    def headings(self) -> Mapping[str, str]:
        """Return headings and quantities of the whole table, in its default form."""

    def label(self, row: str) -> str:
        """Return the first cell of a row."""

    def figure(self, row: str, column: str, quantity: str) -> Figure:
        """Return a figure."""


@dataclass(frozen=True)
class TextTable:
    """Store a printed table; its quantities are its headings.

    Args:
        name: name for messages.
        cells: headings of the columns after the first.
        lines: cells after the first, by key of the row.
        labels: first cells of rows whose keys differ from them.
        first: heading of the first column.
    """

    name: str
    cells: Sequence[str]
    lines: Mapping[str, Sequence[str]]
    labels: Mapping[str, str] = field(default_factory=dict)
    first: str = ""

    @property
    def rows(self) -> Sequence[str]:
        """Return the keys of its lines."""
        return list(self.lines)

    @property
    def columns(self) -> Sequence[str]:
        """Return an empty sequence, because headings are quantities."""
        return ()

    @property
    def headings(self) -> Mapping[str, str]:
        """Return the headings, which are quantities."""
        return {heading: shlex.quote(heading) for heading in self.cells}

    def label(self, row: str) -> str:
        """Return the first cell of a row."""
        return self.labels.get(row, row)

    def figure(self, row: str, column: str, quantity: str) -> Figure:
        """Return the figure in a cell.

        Raises:
            ValueError: when there is no such heading; the message suggests the nearest one.
        """
        check_named(f"{self.name} has no column", quantity, self.cells)
        return Figure.of_text(self.lines[row][self.cells.index(quantity)])


def find_table(name: str) -> Table:
    """Find a table by the name of its record, such as ``split_mnist`` or ``measured/forgetting/omniglot_groups``.

    Args:
        name: name of the record; if it has several tables, followed by a slash and the beginning of the table's name.

    Raises:
        ValueError: when there is no such table; the message suggests the nearest name.
    """
    words = name.split("/", 2)
    n_words = 2 if words[0] in ("measured", "performance", "reliability") else 1
    tables = read_record("/".join(words[:n_words]))
    wanted = "/".join(words[n_words:] if n_words == 2 else words[1:])
    if not wanted and len(tables) == 1:
        return next(iter(tables.values()))
    fitting = [table for title, table in tables.items() if title.startswith(wanted)] if wanted else []
    if wanted not in tables and len(fitting) == 1:
        return fitting[0]
    check_named(f"the record {'/'.join(words[:n_words])} has no table", wanted or "without a name", list(tables))
    return tables[wanted]


@cache
def read_record(name: str) -> Mapping[str, Table]:
    """Read all tables of a record by their names.

    Args:
        name: such as ``split_mnist``, ``measured/forgetting``, ``performance/memory`` or ``reliability/kills``.

    Raises:
        ValueError: when there is no such record; the message suggests the nearest name.
    """
    check_named("there is no record", name, record_names())
    kind, _, part = name.rpartition("/")
    if kind == "measured":
        return _measured(RESULTS / f"{name}.yaml")
    if kind == "performance":
        return _performance(part)
    if kind == "reliability":
        return _reliability(part)
    return read_sweep_tables(*recorded_sweeps()[name])


def record_names() -> list[str]:
    """Return the names of all records."""
    measured = [f"measured/{path.stem}" for path in sorted((RESULTS / "measured").glob("*.yaml"))]
    suites = [f"performance/{name}" for name in PERFORMANCE]
    return [*recorded_sweeps(), *measured, *suites, *(f"reliability/{name}" for name in RELIABILITY)]


def _measured(path: Path) -> dict[str, Table]:
    """Read manually stored output; all values stay text."""
    content: Any = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    check_keys(str(path), content, KEYS, needed=("about", "tables"))
    found: dict[str, Table] = {}
    for name, table in content["tables"].items():
        check_keys(f"the table {name} of {path}", table, ("columns", "rows"), needed=("columns", "rows"))
        for row, line in table["rows"].items():
            if len(line) != len(table["columns"]):
                raise ValueError(
                    f"{path}: {row} of {name} has {len(line)} cells: give it {len(table['columns'])}, as columns has"
                )
        found[name] = TextTable(f"{path.stem}, {name}", table["columns"], table["rows"])
    return found


def _performance(suite: str) -> dict[str, Table]:
    rows = load(RESULTS / "performance" / f"{suite}-cpu.jsonl")
    return {
        table.title: _text_table(
            table.title,
            [
                list(table.columns),
                *([cell(row) for cell in table.columns.values()] for row in rows if table.takes(row)),
            ],
        )
        for table in PERFORMANCE[suite]
    }


def _reliability(part: str) -> dict[str, Table]:
    rows = load(RESULTS / "reliability" / f"{part}.jsonl")
    tables = ([[str(cell) for cell in line] for line in table(rows)] for table in RELIABILITY[part])
    return {lines[0][0]: _text_table(f"{part}, {lines[0][0]}", lines) for lines in tables}


def _text_table(name: str, lines: Sequence[Sequence[str]]) -> TextTable:
    """Key lines by their first cell, by the second as well if first cells are equal, and by a number if necessary."""
    keyed: dict[str, Sequence[str]] = {}
    labels: dict[str, str] = {}
    firsts = [line[0] for line in lines[1:]]
    for first, *cells in lines[1:]:
        key = first if firsts.count(first) == 1 else f"{first}, {cells[0]}"
        while key in keyed:
            key += "'"
        keyed[key], labels[key] = cells, first
    return TextTable(name, lines[0][1:], keyed, labels, lines[0][0])
