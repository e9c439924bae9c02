"""Rows of measurements and their layout as tables, without torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.utilities.markdown import markdown_table, numbers_right

Row = dict[str, Any]
"""Numbers and text by name, as JSON; ``setup`` identifies a row within its suite."""


@dataclass(frozen=True)
class Table:
    """Define a table: columns computed from rows.

    Args:
        title: title of the table.
        columns: function for the text of a cell, by heading; the first column is aligned to the left.
        takes: returns whether a row of the suite belongs to the table.
    """

    title: str
    columns: Mapping[str, Callable[[Row], str]]
    takes: Callable[[Row], bool] = lambda row: True

    def markdown(self, rows: Iterable[Row]) -> str:
        """Format the table; empty if no row belongs to it.

        Example:
            >>> print(Table("seconds", {"suite": lambda row: row["setup"]}).markdown([{"setup": "scale"}]))
            **seconds**
            <BLANKLINE>
            | suite |
            |:---|
            | scale |
        """
        lines = [[cell(row) for cell in self.columns.values()] for row in rows if self.takes(row)]
        if not lines:
            return ""
        table = markdown_table(list(self.columns), lines, right=numbers_right(list(self.columns)))
        return f"**{self.title}**\n\n{table}"


def spread(values: Sequence[float]) -> list[float]:
    """Return median, minimum and maximum.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        [2.0, 1.0, 3.0]
    """
    return [statistics.median(values), min(values), max(values)]


def words(values: Sequence[float], digits: int = 2, unit: str = "", factor: float = 1) -> str:
    """Format a spread as a cell.

    Example:
        >>> words([0.002, 0.001, 0.003], 1, " ms", 1000)
        '2.0 ms (1.0 … 3.0)'
    """
    median, low, high = (f"{factor * value:,.{digits}f}" for value in values)
    return f"{median}{unit} ({low} … {high})"


def load(path: Path) -> list[Row]:
    """Read the rows written by :func:`benchmarks.performance.suite.save`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
