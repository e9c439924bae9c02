"""A file of texts as a table: CSV, TSV, JSON, JSON lines or Parquet, each row with its place in the file."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lifelong.utilities.extras import imported

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*DELIMITERS, ".json", *JSON_LINES, ".parquet")
"""File name extensions that can be read."""
LARGEST_FIELD = 2**31 - 1
"""Maximum number of characters of a CSV field; Python's default of 131,072 is too small for long texts."""

Unit = Literal["line", "entry", "row"]
Located = list[tuple[int, dict[str, str]]]


@dataclass(frozen=True)
class Table:
    """Store the rows of a file, with every value as text.

    Args:
        path: the file.
        rows: values by column name; null is the empty string.
        lines: position of each row, counted from 1 in ``unit``.
        unit: unit of positions: a ``line`` of the file, an ``entry`` of a JSON list, or a ``row`` of a Parquet file.
    """

    path: Path
    rows: Sequence[Mapping[str, str]]
    lines: Sequence[int]
    unit: Unit = "line"

    def where(self, number: int) -> str:
        """Return the position of a row, for messages."""
        return f"{self.path}, {self.unit} {self.lines[number]}"

    def column(self, name: str, option: str) -> list[str]:
        """Return the values of a column, none of them empty.

        Args:
            name: name of the column.
            option: the option that selects the column, for messages.

        Raises:
            ValueError: when there is no such column, or a row has no value in it.
        """
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        if name not in columns:
            raise ValueError(
                f"{self.path} has no column {name!r}: set {option} to one of {', '.join(map(repr, columns))}"
                + _hint(columns)
            )
        values = [row.get(name, "") for row in self.rows]
        for number, value in enumerate(values):
            if not value.strip():
                raise ValueError(f"{self.where(number)}: {name!r} is empty: fill it, or leave the {self.unit} out")
        return values


def read_table(path: Path, charset: str = "utf-8") -> Table:
    """Read a file in the format given by its extension.

    Args:
        path: ``.csv`` or ``.tsv`` with a header, ``.json`` (a list of objects), ``.jsonl`` or ``.ndjson`` (one object
            per line) or ``.parquet`` (extra ``hf``).
        charset: the character encoding of a text file.

    Raises:
        ValueError: when the file is missing, damaged, of an unknown format, or in another character encoding.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "reviews.csv")
        >>> _ = path.write_text("text,label\\nnot bad,good\\n")
        >>> table = read_table(path)
        >>> table.column("text", "text_column"), table.lines
        (['not bad'], [2])
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}: expected one that ends in {', '.join(SUFFIXES)}")
    located, unit = _read(path, charset)
    if not located:
        raise ValueError(f"{path} has no rows: expected one for each text")
    return Table(path, [row for _, row in located], [line for line, _ in located], unit)


def _read(path: Path, charset: str) -> tuple[Located, Unit]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path), "row"
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} is none of the files that can be read: {', '.join(SUFFIXES)}")
    text = _decoded(path.read_bytes(), path, charset)
    if suffix in DELIMITERS:
        return _delimited(path, text, DELIMITERS[suffix]), "line"
    return (_json_list(path, text), "entry") if suffix == ".json" else (_json_lines(path, text), "line")


def _decoded(data: bytes, path: Path, charset: str) -> str:
    try:
        codec = codecs.lookup(charset).name
        return data.decode("utf-8-sig" if codec == "utf-8" else codec)
    except LookupError as error:
        raise ValueError(
            f"there is no character encoding {charset!r}: set charset to utf-8, cp1252 or latin-1"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start)
        place = error.start - data.rfind(b"\n", 0, error.start)
        byte = f"0x{data[error.start]:02X}"
        raise ValueError(
            f"{path} is not {charset}: line {line + 1} has the byte {byte} at place {place}: set charset to the "
            "character encoding that the file has, such as cp1252 or utf-16, or save it as utf-8"
        ) from error


def _delimited(path: Path, text: str, delimiter: str) -> Located:
    located: Located = []
    header: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _long_fields():
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return located
            except csv.Error as error:
                raise ValueError(
                    f"{path}, line {line} cannot be read ({error}): a value with a quotation mark, {delimiter!r} or a "
                    "line break is put in quotation marks, and its own are doubled"
                ) from error
            if fields and header:
                located.append((line, dict(zip(header, _as_many(fields, header, f"{path}, line {line}"), strict=True))))
            elif fields:
                header = _names(fields, path)


def _names(fields: list[str], path: Path) -> list[str]:
    names = [field.strip() for field in fields]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{path} has two columns {twice[0]!r}: name them differently in its first line")
    return names


def _as_many(fields: list[str], header: list[str], where: str) -> list[str]:
    if len(fields) != len(header):
        raise ValueError(
            f"{where} has {len(fields)} fields, but the header has {len(header)} ({', '.join(header)}): fill it, or "
            "put a value that has the separator in it in quotation marks"
        )
    return fields


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _json_lines(path: Path, text: str) -> Located:
    # Not splitlines, because a JSON string may contain other line separators.
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [(number, _object(_parsed(line, path, number), f"{path}, line {number}")) for number, line in lines]


def _json_list(path: Path, text: str) -> Located:
    entries = _parsed(text, path, 1)
    if not isinstance(entries, list):
        raise ValueError(f"{path} is not a list of objects, one for each text: make it one, or save it as JSON lines")
    return [(number, _object(entry, f"{path}, entry {number}")) for number, entry in enumerate(entries, 1)]


def _parsed(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(
            f"{path}, line {first_line} is nested too deeply to be read: make each row an object of plain values"
        ) from error
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise ValueError(
            f"{path}, line {line} is not JSON ({error.msg} at place {error.colno}): correct it, or leave it out"
        ) from error


def _object(entry: Any, where: str) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is not an object with the columns as names, such as {{"text": "…", "label": "…"}}')
    return {key: _as_text(value) for key, value in entry.items()}


def _parquet(path: Path) -> Located:
    parquet = imported("pyarrow.parquet", "a Parquet file", extra="hf")
    try:
        rows = parquet.ParquetFile(path).read().to_pylist()
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path} cannot be read as Parquet ({first}): save it again") from error
    return [(number, {key: _as_text(value) for key, value in row.items()}) for number, row in enumerate(rows, 1)]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str).strip('"')


def _hint(columns: Sequence[str]) -> str:
    other = next((sign for sign in ";\t|" if len(columns) == 1 and sign in columns[0]), None)
    return "" if other is None else f", or save it with commas: it seems to be separated by {other!r}"
