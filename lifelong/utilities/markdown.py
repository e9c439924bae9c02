"""Tables in Markdown, for lifelong, its benchmarks and its site."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

CODE = re.compile(r"(`+[^`]+`+)")
MEANT = re.compile(r"[\\|*_>`]|<(?=[A-Za-z/!?])|(?<=\])[(\[]")
"""Characters with a meaning in Markdown or HTML: ``<`` only before a tag, and brackets only in links."""


def markdown_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool] | None = None,
    escape: Callable[[str], str] | None = None,
) -> str:
    """Write a table in Markdown, with special characters of cells escaped.

    Args:
        columns: the column heads.
        rows: the cells of each row.
        right: whether each column is aligned to the right instead of the left. Default: no alignment.
        escape: function that escapes a cell. Default: :func:`without_bars`.

    Example:
        >>> print(markdown_table(["run", "a|b"], [["1", "0.5"]]))
        | run | a\\|b |
        | --- | --- |
        | 1 | 0.5 |
        >>> print(markdown_table(["run", "a"], [["1", "0.5"]], right=[False, True]).splitlines()[1])
        |:---|---:|
    """
    if right is None:
        rule = f"| {' | '.join('---' for _ in columns)} |"
    else:
        rule = f"|{'|'.join('---:' if is_right else ':---' for is_right in right)}|"
    head, *body = (f"| {' | '.join(map(escape or without_bars, line))} |" for line in (columns, *rows))
    return "\n".join([head, rule, *body])


def numbers_right(columns: Sequence[str]) -> list[bool]:
    """Return the alignment of a table with names in the first column and numbers in the others.

    Args:
        columns: the column heads.

    Example:
        >>> numbers_right(["run", "average", "forgetting"])
        [False, True, True]
    """
    return [place > 0 for place in range(len(columns))]


def without_bars(cell: str) -> str:
    """Escape the bars of a cell in Markdown, which would otherwise separate cells.

    Args:
        cell: text in Markdown.
    """
    return cell.replace("|", "\\|")


def without_bars_outside_code(cell: str) -> str:
    """Escape the bars of a cell outside code, where python-markdown would show the backslash.

    Args:
        cell: text in Markdown.
    """
    return "".join(part if part.startswith("`") else without_bars(part) for part in CODE.split(cell))


def plain(text: str) -> str:
    """Escape a text that contains no Markdown, such as a name chosen by a user.

    Brackets of intervals are not escaped, because ``\\[`` begins a formula on pages with mathematics.

    Args:
        text: the text; line breaks become spaces.

    Example:
        >>> print(plain("a|b_c"), plain("+0.1 [-0.6, +0.7]"), plain("[a](b)"), plain("<0.001 <b>"))
        a\\|b\\_c +0.1 [-0.6, +0.7] [a]\\(b) <0.001 &lt;b\\>
    """
    return MEANT.sub(lambda sign: "&lt;" if sign[0] == "<" else f"\\{sign[0]}", text).replace("\n", " ")
