"""The tables of reliability, made from stored rows without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lifelong.utilities.markdown import markdown_table, numbers_right

Row = dict[str, Any]
Lines = Iterator[Sequence[object]]


def _kills(rows: list[Row]) -> Lines:
    yield "chain", "kills", "differences"
    for row in rows:
        yield row["name"], len(row["kills"]), ", ".join(row["differences"]) or 0
    total = sum(len(row["kills"]) for row in rows), sum(len(row["differences"]) for row in rows)
    yield f"**all {len(rows)}**", *(f"**{number}**" for number in total)


def _moments(rows: list[Row]) -> Lines:
    yield "moment", "kills"
    yield from Counter(kill for row in rows for kill in row["kills"]).most_common()


def _inputs(rows: list[Row]) -> Lines:
    yield "bad inputs of", "tried", "tracebacks", "accepted", "not one clear sentence"
    counts = ("tried", "tracebacks", "accepted", "poor")
    yield from ((row["name"], *(row[key] for key in counts)) for row in rows)
    yield "**all**", *(f"**{sum(row[key] for row in rows)}**" for key in counts)


def _long_stream(rows: list[Row]) -> Lines:
    yield "stream", "experience", "memory (MB)", "open files", "s for each of those before it", "folder at the end (MB)"
    for row in rows:
        pairs = list(zip(row["marks"], row["marks"][1:], strict=False))
        for before, mark in (pairs[0], pairs[len(pairs) // 2], pairs[-1]):
            seconds = (mark["seconds"] - before["seconds"]) / (mark["experiences"] - before["experiences"])
            size = f"{row['folder_bytes'] / 1e6:.1f}" if mark is pairs[-1][1] else ""
            memory = f"{mark['bytes'] / 1e6:.0f}"
            yield row["name"], mark["experiences"], memory, mark["files"], f"{seconds:.3f}", size


def _lost_process(rows: list[Row]) -> Lines:
    yield "process that dies", "seconds until the others have ended", "sentence"
    yield from ((row["name"], f"{row['seconds']:.1f}", row["sentence"]) for row in rows)


TABLES: dict[str, tuple[Callable[[list[Row]], Lines], ...]] = {
    "kills": (_kills, _moments),
    "inputs": (_inputs,),
    "long_stream": (_long_stream,),
    "lost_process": (_lost_process,),
}
"""Tables of each part: a heading, then a line for each row."""


def markdown(part: str, rows: list[Row]) -> str:
    """Write the tables of a part.

    Args:
        part: key of :data:`TABLES`.
        rows: the measured rows.

    Example:
        >>> text = markdown("kills", [{"name": "MAML", "kills": ["any time"], "differences": []}])
        >>> text.splitlines()[2], text.splitlines()[-1]
        ('| MAML | 1 | 0 |', '| any time | 1 |')
    """
    return "\n\n".join(_markdown([list(map(str, line)) for line in table(rows)]) for table in TABLES[part])


def _markdown(lines: list[list[str]]) -> str:
    return markdown_table(lines[0], lines[1:], right=numbers_right(lines[0]))
