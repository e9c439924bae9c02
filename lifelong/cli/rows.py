"""Rows of a help page: an option, its description and its value on one line."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from lifelong.utilities.class_names import class_name

CLAUSE_END = re.compile(r"(?<!Default)[;:.] |, (?:and|or|such|which|so) ")
"""Where a text may be cut: after its first sentence only at the ends of clauses with a full stop or semicolon."""
PAUSE = re.compile(r"[;:.] ")
DEFAULT = ". Default: "
LEFT = 38
"""Largest width of the column of option names; longer names exceed it."""


@dataclass(frozen=True)
class Row:
    """Hold an option of a help page.

    Args:
        option: the option with its placeholder, such as ``--seed INT``.
        says: its description.
        value: its default value. Empty if there is none.
    """

    option: str
    says: str
    value: str = ""


def lay_out(rows: Iterable[Row], *, whole: bool = False, width: int | None = None) -> list[str]:
    """Return the lines of rows, with each text shortened to one line, or complete.

    Args:
        rows: rows of one group.
        whole: do not shorten texts; wrap them over several lines.
        width: width in columns. Default: that of the terminal.

    Example:
        >>> lay_out([Row("--seed INT", "decides initial weights and training tasks", "0")], width=50)
        ['  --seed INT  decides initial weights and … [0]']
    """
    rows = list(rows)
    columns = width or max(shutil.get_terminal_size((100, 24)).columns, 80)
    left = min(max((len(row.option) for row in rows), default=0), LEFT)
    lines: list[str] = []
    for row in rows:
        value = f" {row.value if row.value.startswith('[') else f'[{row.value}]'}" if row.value else ""
        begin = f"  {row.option:<{left}}  "
        room = max(columns - len(begin) - len(value), 20)
        if whole:
            lines += textwrap.wrap(f"{begin}{row.says}{value}", columns, subsequent_indent=" " * (left + 4))
            continue
        lines.append(f"{begin}{_cut(row.says, room)}{value}".rstrip())
    return lines


def _cut(text: str, room: int) -> str:
    """Shorten a text to one line: to its first clauses if they are long enough, else to as many words as fit."""
    if len(text) <= room:
        return text
    for end in reversed([match.start() for match in CLAUSE_END.finditer(text)]):
        # Half of a default would be another default, and a label alone says nothing: "… the scenario. class: …".
        if room // 3 < end <= room and (text[end] in ";." or not PAUSE.search(text, 0, end)):
            return text[:end]
    return textwrap.shorten(text.partition(DEFAULT)[0], room, placeholder=" …")


def shown_value(value: Any, room: int = 28) -> str:
    """Return a value as a user would write it, with classes by name; long values are shortened.

    Example:
        >>> shown_value([{"class_path": "strategies.EWC", "init_args": {}}]), shown_value(None), shown_value((1, 2))
        ('[EWC]', 'null', '[1, 2]')
    """
    text = _plain(value)
    return text if len(text) <= room else text[: room - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return class_name(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(part) for part in value)}]"
    if isinstance(value, type) or callable(value):
        return str(getattr(value, "__name__", value))
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return type(value).__name__


def metavar(kind: Any) -> str:
    """Return the placeholder of an option's value, by its type.

    Example:
        >>> metavar(Literal["a", "b"]), metavar(int | None), metavar(tuple[float, float]), metavar(bool)
        ('{a,b}', 'INT', 'LIST', '{true,false}')
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "{" + ",".join(str(part) for part in parts) + "}"
    if origin in (typing.Union, types.UnionType):
        return "|".join(dict.fromkeys(metavar(part) for part in parts if part is not type(None)))
    if kind is bool:
        return "{true,false}"
    if kind in (int, float, str, dict):
        return "TEXT" if kind is str else kind.__name__.upper()
    name = getattr(origin or kind, "__name__", "")
    if name in ("list", "tuple", "Sequence", "Iterable"):
        return "LIST"
    return "CLASS" if isinstance(kind, type) and origin is None else "VALUE"
