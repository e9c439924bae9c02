"""Regions of Markdown generated from records: find them, update them, and compare them with the current text.

A table is between ``<!-- results: RECORD … -->`` and ``<!-- /results -->``, a figure between ``<!--= RECORD … -->`` and
``<!-- / -->``. Both are comments, so pages render correctly in any Markdown viewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from benchmarks.figures import checklist
from benchmarks.figures.spec import figure_text, table_text

TABLE = re.compile(
    r"(?P<open><!-- results: (?P<name>[^\n]+?)(?P<more>\n.*?)? ?-->)(?P<old>.*?)(?P<close><!-- /results -->)", re.S
)
FIGURE = re.compile(r"(?P<open><!--=(?P<name>[^\n]*?)-->)(?P<old>[^\n]*?)(?P<close><!-- / -->)")
MARK = re.compile(r"<!--=|<!-- / -->|<!-- results:|<!-- /results -->")
STARTS_LINE = re.compile(r"(?:^|\n)[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*$")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.S | re.M)


@dataclass(frozen=True)
class Stale:
    """Describe a region whose text differs from the records.

    Args:
        path: path of the page.
        line: line of the region, from 1.
        region: specification of the region.
        found: its current text.
        expected: the text according to the records.
    """

    path: Path
    line: int
    region: str
    found: str
    expected: str

    def __str__(self) -> str:
        """Describe the difference in one sentence."""
        return (
            f"{self.path}, line {self.line}: {self.region} says {self.found!r}, and the records say {self.expected!r}: "
            "run python -m benchmarks.figures"
        )


def refresh(text: str, path: Path) -> tuple[str, list[Stale]]:
    """Update all regions of a page; return the new text and the outdated regions.

    Args:
        text: text of the page.
        path: path of the page, for messages.

    Raises:
        ValueError: when a region is invalid; the message names page, line and problem.
    """
    stale: list[Stale] = []
    _check_marks(text, path)
    for pattern in (TABLE, FIGURE):
        text = pattern.sub(_writer(text, path, stale), text)
    return text, stale


def _writer(text: str, path: Path, stale: list[Stale]) -> Callable[[re.Match[str]], str]:
    """Return a function that updates one region and records outdated ones."""
    code = _code(text)

    def write(match: re.Match[str]) -> str:
        if _is_in(match, code):
            return match[0]
        line = text.count("\n", 0, match.start()) + 1
        try:
            new = _new_text(match)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        if new != match["old"]:
            name = match["name"].strip()
            changed = _changed_lines(match["old"], new)
            stale.extend(Stale(path, line, name, found, expected) for found, expected in changed)
        return match["open"] + new + match["close"]

    return write


def _new_text(match: re.Match[str]) -> str:
    groups = match.groupdict()
    name = groups["name"].strip()
    if "more" not in groups:
        return checklist.figure_text(name) if checklist.is_asked(name) else figure_text(name)
    table = checklist.table_text(name) if checklist.is_asked(name) else table_text(name, groups["more"] or "")
    return f"\n\n{table}\n\n"


def _changed_lines(old: str, new: str) -> Iterator[tuple[str, str]]:
    olds, news = old.strip().split("\n"), new.strip().split("\n")
    pairs = zip_longest(olds, news, fillvalue="")
    changed = [(found, expected) for found, expected in pairs if found != expected]
    yield from changed or [("other empty lines", "one empty line before and after")]


def _code(text: str) -> list[tuple[int, int]]:
    """Find code blocks, where regions are only examples."""
    return [match.span() for match in CODE.finditer(text)]


def _check_marks(text: str, path: Path) -> None:
    """Raise an error for a mark without its counterpart, or one that would start an HTML block."""
    spans = [*_code(text), *(match.span() for pattern in (TABLE, FIGURE) for match in pattern.finditer(text))]
    for match in MARK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if not _is_in(match, spans):
            raise ValueError(
                f"{path}, line {line}: {match[0]} belongs to no whole region: a figure is <!--= … -->…<!-- / --> on "
                "one line, a table is <!-- results: … --> with <!-- /results --> below"
            )
        if match[0] == "<!--=" and STARTS_LINE.search(text, 0, match.start()) and not _is_in(match, _code(text)):
            raise ValueError(
                f"{path}, line {line}: a line that begins with <!--= is HTML to Markdown: begin it with a word"
            )


def _is_in(match: re.Match[str], spans: list[tuple[int, int]]) -> bool:
    return any(start <= match.start() < end for start, end in spans)
