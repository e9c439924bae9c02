"""Markdown of generated pages: blocks of code, commands, figures and tables."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Sequence

from lifelong.evaluation.estimate import Estimate
from lifelong.utilities.markdown import markdown_table, without_bars_outside_code


def shell(options: Sequence[str]) -> str:
    """Format a command as a code block with lines that fit the page.

    Args:
        options: arguments of ``python -m lifelong``.
    """
    words = [shlex.quote(word).replace(" ", "\0") for word in ("python", "-m", "lifelong", *options)]
    lines = textwrap.wrap(" ".join(words), 76, break_long_words=False, break_on_hyphens=False)
    return fenced("sh", " \\\n    ".join(lines).replace("\0", " "))


def fenced(language: str, text: str) -> str:
    """Format a code block; empty if there is no code.

    Args:
        language: language of the code.
        text: the code.
    """
    return f"```{language}\n{text}\n```" if text else ""


def code(text: str) -> str:
    """Format text as inline code; empty if the text is empty.

    Args:
        text: text without backticks.
    """
    return f"`{text}`" if text else ""


def estimate(value: Estimate) -> str:
    """Format an estimate in percent with one decimal place, or two if its half width is below 0.1.

    Args:
        value: estimate in percent.

    Example:
        >>> estimate(Estimate(98.234, 0.051)), estimate(Estimate(80.94, 3.01)), estimate(Estimate(80.94, math.nan))
        ('98.23 ± 0.05', '80.9 ± 3.0', '80.9')
    """
    places = 2 if value.half_width < 0.1 else 1
    return value.text(places).replace(" ± n/a", "") if not math.isnan(value.value) else "n/a"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table for the site; a bar within code does not end a cell, and must not be escaped.

    Args:
        columns: titles of the columns.
        rows: cells of the rows.

    Example:
        >>> print(table(["a"], [["`p(n | x)` or |"]]))
        | a |
        | --- |
        | `p(n | x)` or \\| |
    """
    return markdown_table(columns, rows, escape=without_bars_outside_code)


def choices(metavar: str) -> str:
    """Format the type of an option as on the command line, so that lines can break between choices.

    Args:
        metavar: type such as ``{a,b}|FLOAT``.

    Example:
        >>> choices("{a,b}|FLOAT"), choices("INT")
        ('`a`, `b` or `FLOAT`', '`INT`')
    """
    parts = [", ".join(map(code, part.strip("{}").split(","))) for part in metavar.split("|")]
    return " or ".join(parts)


def styled(name: str, text: str) -> str:
    """Assign a class of ``docs/style.css`` to a part of a page.

    Args:
        name: name of the class.
        text: Markdown of the part.
    """
    return f'<div class="{name}" markdown>\n\n{text}\n\n</div>'
