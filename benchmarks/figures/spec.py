"""The specification of a region in a document, and its text.

A figure is specified by words, ``RECORD ROW [COLUMN] QUANTITY [FORMAT …] [minus|over ROW [COLUMN] QUANTITY]``:
``split_mnist EWC task average`` is a value, and ``reviews joint average minus none average`` a difference. A table is
specified by its record, optionally with YAML below: ``columns`` (heading: quantity), ``rows`` (row: label; ``ROW @
RECORD`` is a row of another record) and ``first`` (heading of the labels).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from benchmarks.figures.figure import NUMBER, Figure
from benchmarks.figures.records import Table, find_table
from benchmarks.figures.sweeps import ANY
from lifelong.sweep.names import check_keys, check_named
from lifelong.utilities.markdown import markdown_table

FORMATS = ("alone", "published", "signed", "0", "1", "2", "3")
"""Formats: without the part after ±, with the published value in brackets, with its sign, with a number of digits."""
COMBINED: dict[str, Callable[[float, float], float]] = {
    "minus": lambda a, b: a - b,
    "over": lambda a, b: a / b if b else math.nan,
}
"""Operators: the difference or the ratio of two figures of a record."""
WIDEST = 45
"""Maximum length of a number and its parts that are aligned to the right."""
ROW = "*"
"""Placeholder of the row in the quantity of a table's column."""


def figure_text(spec: str) -> str:
    """Return the text of a figure.

    Args:
        spec: its words.

    Raises:
        ValueError: when a name is unknown; the message suggests the nearest one.
    """
    return figure_of(spec).text


def figure_of(spec: str) -> Figure:
    """Return a figure; see :func:`figure_text` for its text."""
    try:
        record, *words = shlex.split(spec)
    except ValueError as error:
        raise ValueError(f"the figure {spec!r} cannot be read ({error}): quote names of several words") from error
    return _figure(find_table(record), words, spec)


def _figure(table: Table, words: Sequence[str], spec: str) -> Figure:
    for how, function in COMBINED.items():
        if how in words:
            at = words.index(how)
            first, rest = _one(table, words[:at], spec)
            second, rest_of_second = _one(table, words[at + 1 :], spec)
            value = function(first.value, second.value)
            made = Figure.of_number(value, digits=first.digits)
            return _formatted(made, [*rest, *rest_of_second], None)
    figure, formats = _one(table, words, spec)
    published = (
        table.figure(words[0], words[1] if table.columns else "", "published") if "published" in formats else None
    )
    return _formatted(figure, formats, published)


def _one(table: Table, words: Sequence[str], spec: str) -> tuple[Figure, list[str]]:
    """Return a figure, and the format words after it."""
    n_words = 3 if table.columns else 2
    if len(words) < n_words:
        parts = "ROW COLUMN QUANTITY" if table.columns else "ROW QUANTITY"
        raise ValueError(f"the figure {spec!r} is not whole: give it RECORD {parts}")
    check_named(f"{table.name} has no row", words[0], table.rows)
    if table.columns:
        check_named(f"{table.name} has no column", words[1], [*table.columns, ANY])
    formats = list(words[n_words:])
    for word in formats:
        check_named(f"the figure {spec!r} has no format", word, FORMATS)
    return table.figure(words[0], words[1] if table.columns else "", words[n_words - 1]), formats


def _formatted(figure: Figure, formats: Sequence[str], published: Figure | None) -> Figure:
    for word in formats:
        if word.isdigit():
            figure = figure.rounded(int(word))
    if "alone" in formats:
        figure = figure.alone()
    if "signed" in formats and figure.value > 0:
        figure = Figure(f"+{figure.text}", figure.value, figure.half, figure.digits)
    if published is not None and published.text:
        figure = Figure(f"{figure.text} ({published.text})", figure.value, figure.half, figure.digits)
    return figure


def table_text(record: str, description: str = "") -> str:
    """Return a table in Markdown.

    Args:
        record: name of the record.
        description: YAML with ``first``, ``columns`` and ``rows``; if empty, the whole table.

    Raises:
        ValueError: when a name is unknown; the message suggests the nearest one.
    """
    chosen: Any = yaml.load(description, yaml.BaseLoader) if description.strip() else {}
    check_keys(f"the region {record}", chosen, ("first", "columns", "rows"))
    table = find_table(record)
    columns = chosen.get("columns", table.headings)
    columns = columns if isinstance(columns, Mapping) else {name: shlex.quote(name) for name in columns}
    rows = chosen.get("rows", list(table.rows))
    rows = rows if isinstance(rows, dict) else {row: _place(table, row)[0].label(_place(table, row)[1]) for row in rows}
    lines = [_line(*_place(table, row), label, list(columns.values())) for row, label in rows.items()]
    return markdown([chosen.get("first", table.first), *columns], lines)


def _place(table: Table, row: str) -> tuple[Table, str]:
    """Return the location of a row: the table of the region, or the record after ``@``."""
    name, _, record = row.partition(" @ ")
    return (find_table(record) if record else table), name


def _line(table: Table, row: str, label: str, columns: Sequence[str]) -> list[str]:
    return [_label(table, row, label), *(_cell(table, row, spec) for spec in columns)]


def _label(table: Table, row: str, label: str) -> str:
    """Replace ``{quantity}`` in a label by the figure of its row."""

    def fill(match: re.Match[str]) -> str:
        return _figure(table, [row, *shlex.split(match[1])], match[1]).text

    return re.sub(r"\{([^{}]+)\}", fill, label)


def _cell(table: Table, row: str, spec: str) -> str:
    """Return a cell: of the table, or of another one, which need not have the row."""
    words = shlex.split(spec)
    if ROW not in words:
        return _figure(table, [row, *words], spec).text
    other, quantity = find_table(words[0]), words[words.index(ROW) + 1 :]
    check_named(f"{table.name} has no row", row, table.rows)
    return _figure(other, [row, *quantity], spec).text if row in other.rows else ""


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Format a table; columns of numbers are aligned to the right.

    Example:
        >>> print(markdown(["run", "average"], [["none", "0.5"]]))
        | run | average |
        |:---|---:|
        | none | 0.5 |
    """
    columns = [[cell for cell in column if cell] for column in zip(*lines, strict=True)]
    right = [
        2 * sum(bool(NUMBER.match(cell)) and len(cell) <= WIDEST for cell in column) > len(column) for column in columns
    ]
    return markdown_table(head, lines, right=[is_right and place > 0 for place, is_right in enumerate(right)])
