"""Reproduced results: published values next to ours, with a verdict, as listed in ``reproduced.yaml``.

Values agree if they differ by no more than their combined intervals, or by at most one point. Intervals are 95 %
intervals or two standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figures.figure import Figure, number_text
from benchmarks.figures.spec import figure_of
from benchmarks.figures.spec import markdown as markdown_of
from lifelong.sweep.names import check_keys, check_named

NAME = "reproduced"
FILE = Path(__file__).parent / f"{NAME}.yaml"
KEYS = ("about", "standard_errors", "command", "rows")
ROW_KEYS = ("published", "ours", "why")
POINTS = 1.0
"""Tolerance in percentage points; re-runs by others differ by as much."""


def is_asked(name: str) -> bool:
    """Return whether a region refers to a part of the list."""
    return name.split()[0].split("/")[0] == NAME


def table_text(name: str) -> str:
    """Return a part of the list in Markdown: the published value, ours, whether they agree, and the reason if not.

    Args:
        name: name of the part, such as ``reproduced/split_mnist``.
    """
    return markdown_of(["", "published", "ours", "agrees", "note"], lines(name))


def lines(name: str) -> list[list[str]]:
    """Return the cells of a part of the list: its label, the value of the paper, ours, the verdict and why not.

    Args:
        name: such as ``reproduced/split_mnist``.
    """
    return [
        [label, published.text, ours.text, _verdict(published, ours, agrees=agrees), why]
        for label, published, ours, agrees, why in _rows(name)
    ]


def figure_text(name: str) -> str:
    """Return the number of values of a part that agree, or the number of all.

    Args:
        name: name such as ``reproduced/split_mnist agree`` or ``reproduced/split_mnist all``.
    """
    part, _, what = name.partition(" ")
    check_named("the list of what was reproduced has no figure", what, ("agree", "all"))
    return str(sum(agrees or what == "all" for *_, agrees, _ in _rows(part)))


def _rows(name: str) -> Iterator[tuple[str, Figure, Figure, bool, str]]:
    parts = read_parts()
    part = name.removeprefix(f"{NAME}/")
    check_named("the list of what was reproduced has no part", part, list(parts))
    check_keys(f"the part {part} of {FILE.name}", parts[part], KEYS, needed=("rows",))
    factor = 2.0 if parts[part].get("standard_errors") == "true" else 1.0
    for label, row in parts[part]["rows"].items():
        check_keys(f"{label} of {FILE.name}", row, ROW_KEYS, needed=("published", "ours"))
        published, ours = Figure.of_text(row["published"]), figure_of(row["ours"])
        yield label, published, ours, _agrees(published, ours, factor), row.get("why", "")


def _agrees(published: Figure, ours: Figure, factor: float) -> bool:
    halves = [figure.half for figure in (published, ours) if not math.isnan(figure.half)]
    return abs(ours.value - published.value) <= max(POINTS, factor * math.hypot(*halves)) + 1e-9


def _verdict(published: Figure, ours: Figure, *, agrees: bool) -> str:
    difference = ours.value - published.value
    return "yes" if agrees else f"no, {'+' if difference > 0 else ''}{number_text(difference, 1)}"


@cache
def read_parts() -> Any:
    """Read all parts of the list."""
    return yaml.load(FILE.read_text(encoding="utf-8"), yaml.BaseLoader)
