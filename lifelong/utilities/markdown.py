"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown, with special characters of cells escaped.

    Example:
        >>> print(markdown_table(["run", "a|b"], [["1", "0.5"]]))
        | run | a\\|b |
        | --- | --- |
        | 1 | 0.5 |
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
