"""Generate the tables and numbers in the documents: ``python -m benchmarks.figures [--check]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures.pages import Stale, refresh
from benchmarks.figures.records import ROOT


def main(args: Sequence[str] | None = None) -> None:
    """Update all regions, or list those that are outdated.

    Raises:
        ValueError: when a region refers to something that does not exist.
    """
    summary = "Writes the tables and figures of README.md and docs/ from the records in benchmarks/results/."
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=summary)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="all where none is named")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a page is stale")
    given = parser.parse_args(args)
    stale: list[Stale] = []
    for path in given.pages or pages():
        text = path.read_text(encoding="utf-8")
        fresh, found = refresh(text, path)
        stale += found
        if not given.check and fresh != text:
            path.write_text(fresh, encoding="utf-8")
    if given.check and stale:
        sys.exit("\n".join(map(str, stale)))
    for each in stale:
        print(f"{each.path}, line {each.line}: {each.found!r} is {each.expected!r} now")


def pages() -> list[Path]:
    """Return README.md and all pages under docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"error: {error}")
