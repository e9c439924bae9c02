"""Markdown of generated pages: blocks of code, commands, figures and tables."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Sequence

from lifelong.evaluation.estimate import Estimate
from lifelong.utilities.markdown import markdown_table, without_bars_outside_code


def shell(options: Sequence[str]) -> str:
    """Write a command as a block, in lines that a page can show.

    Args:
        options: after ``python -m lifelong``.
    """
    words = [shlex.quote(word).replace(" ", "\0") for word in ("python", "-m", "lifelong", *options)]
    lines = textwrap.wrap(" ".join(words), 76, break_long_words=False, break_on_hyphens=False)
    return fenced("sh", " \\\n    ".join(lines).replace("\0", " "))


def fenced(language: str, text: str) -> str:
    """Write a block of code; nothing where there is none.

    Args:
        language: of the code.
        text: the code.
    """
    return f"```{language}\n{text}\n```" if text else ""


def code(text: str) -> str:
    """Write a text as code; nothing where there is none.

    Args:
        text: without backticks.
    """
    return f"`{text}`" if text else ""


def estimate(value: Estimate) -> str:
    """Write an estimate in percent, to a tenth, or to a hundredth where it is that exact.

    Args:
        value: in percent.

    Example:
        >>> estimate(Estimate(98.234, 0.051)), estimate(Estimate(80.94, 3.01)), estimate(Estimate(80.94, math.nan))
        ('98.23 ± 0.05', '80.9 ± 3.0', '80.9')
    """
    places = 2 if value.half_width < 0.1 else 1
    return value.text(places).replace(" ± n/a", "") if not math.isnan(value.value) else "n/a"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table for the site, where a bar within code is no end of a cell, and an escaped one would be shown so.

    Args:
        columns: their titles.
        rows: their cells.

    Example:
        >>> print(table(["a"], [["`p(n | x)` or |"]]))
        | a |
        | --- |
        | `p(n | x)` or \\| |
    """
    return markdown_table(columns, rows, escape=without_bars_outside_code)


def choices(metavar: str) -> str:
    """Write what an option is given, as the command line says it, so that lines can break between choices.

    Args:
        metavar: such as ``{a,b}|FLOAT``.

    Example:
        >>> choices("{a,b}|FLOAT"), choices("INT")
        ('`a`, `b` or `FLOAT`', '`INT`')
    """
    parts = [", ".join(map(code, part.strip("{}").split(","))) for part in metavar.split("|")]
    return " or ".join(parts)


def styled(name: str, text: str) -> str:
    """Give a part of a page a class of ``docs/style.css``.

    Args:
        name: of the class.
        text: the part, in Markdown.
    """
    return f'<div class="{name}" markdown>\n\n{text}\n\n</div>'
