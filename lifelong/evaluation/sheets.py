"""Tables of text in several formats: plain text for a terminal, Markdown, LaTeX and comma-separated values."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lifelong.utilities.csv_table import csv_table
from lifelong.utilities.markdown import markdown_table, numbers_right, plain

WIDEST_LABEL = 36
PADDING = 3
"""Number of characters between columns."""


@dataclass(frozen=True)
class Sheet:
    """Store a table of text.

    Args:
        heads: headers of the columns; the first column contains the labels.
        rows: the cells of each row.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> list[list[str]]:
        """Return the cells of each column, without its header."""
        return [[row[j] for row in self.rows] for j in range(len(self.heads))]


@dataclass(frozen=True)
class Below:
    """Store the sentences below a table.

    Args:
        caption: sentences that explain the numbers.
        notes: sentences on what is missing, and how runs were found.
        warnings: sentences on what makes rows not comparable.
    """

    caption: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Return caption, notes and warnings."""
        return self.caption, self.notes, self.warnings


def plain_text(sheet: Sheet, below: Below, *, width: int) -> str:
    """Format a table for a terminal; columns that do not fit are placed below the others, with the labels repeated.

    Args:
        sheet: the table.
        below: the sentences below it; warnings are marked.
        width: maximum number of characters per line.

    Example:
        >>> print(plain_text(Sheet(("method", "score"), (("EWC", "75.0"),)), Below(warnings=("unfinished",)), width=30))
         method   score
        ────────────────
         EWC       75.0
        <BLANKLINE>
        ! unfinished.
    """
    memory = io.StringIO()
    console = Console(file=memory, color_system=None, highlight=False, width=width)
    console.print(tables(sheet, below, width=width))
    return "\n".join(line.rstrip() for line in memory.getvalue().splitlines()).strip("\n")


def tables(sheet: Sheet, below: Below, *, width: int) -> RenderableType:
    """Make the table of :func:`plain_text` for a terminal with colours.

    Args:
        sheet: the table.
        below: the sentences below it; warnings are marked.
        width: maximum number of characters per line.
    """
    parts: list[RenderableType] = []
    for block in _blocks(sheet, width):
        parts += [_table(sheet, block, width), ""]
    parts += [Text(sentence(line), "dim") for line in (*below.caption, *below.notes)]
    parts += [Text(f"! {sentence(line)}", "yellow") for line in below.warnings]
    return Group(*parts)


def markdown_text(sheet: Sheet, below: Below) -> str:
    """Format a table in Markdown.

    Args:
        sheet: the table.
        below: the sentences below it; warnings become a separate list.

    Example:
        >>> print(markdown_text(Sheet(("method", "score"), (("a|b", "75.0"),)), Below(caption=("In %",))))
        | method | score |
        |:---|---:|
        | a\\|b | 75.0 |
        <BLANKLINE>
        In %.
    """
    caption, notes, warnings = ([plain(sentence(line)) for line in lines] for lines in below.parts)
    paragraphs = [markdown_table(sheet.heads, sheet.rows, right=numbers_right(sheet.heads), escape=plain)]
    paragraphs += [" ".join(lines) for lines in (caption, notes) if lines]
    if warnings:
        paragraphs.append("\n".join(f"- **{line}**" for line in warnings))
    return "\n\n".join(paragraphs)


def latex_text(sheet: Sheet, below: Below) -> str:
    """Format a table in LaTeX with the package booktabs; warnings go below the table, notes become comments.

    Args:
        sheet: the table.
        below: its caption, notes and warnings.

    Example:
        >>> print(latex_text(Sheet(("method", "score ↑"), (("a_b", "75.0 ± 1.2"),)), Below(caption=("In %",))))
        % needs \\usepackage{booktabs}
        \\begin{table}
          \\centering
          \\caption{In \\%.}
          \\begin{tabular}{lr}
            \\toprule
            method & score $\\uparrow$ \\\\
            \\midrule
            a\\_b & $75.0 \\pm 1.2$ \\\\
            \\bottomrule
          \\end{tabular}
        \\end{table}
    """
    heads, *rows = [" & ".join(map(_in_latex, row)) + r" \\" for row in (sheet.heads, *sheet.rows)]
    caption, notes, warnings = ([sentence(line) for line in lines] for lines in below.parts)
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            *(f"% {' '.join(line.split())}" for line in notes),
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_in_latex(' '.join(caption))}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(sheet.heads) - 1)}}}",
            r"    \toprule",
            f"    {heads}",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(rf"  \par\smallskip\footnotesize {_in_latex(line)}" for line in warnings),
            r"\end{table}",
        ]
    )


def csv_text(sheet: Sheet) -> str:
    r"""Format a table as comma-separated values.

    Example:
        >>> csv_text(Sheet(("method", "score"), (("EWC, strength=1", "0.5"),)))
        'method,score\n"EWC, strength=1",0.5'
    """
    return csv_table(sheet.heads, sheet.rows).rstrip("\n")


def _blocks(sheet: Sheet, width: int) -> list[list[int]]:
    """Divide the columns after the first into blocks that fit the width together with it."""
    label = _label_width(sheet, width) + PADDING
    blocks: list[list[int]] = [[]]
    room = width - label
    for j in range(1, len(sheet.heads)):
        needed = _column_width(sheet, j) + PADDING
        if blocks[-1] and needed > room:
            blocks.append([])
            room = width - label
        blocks[-1].append(j)
        room -= needed
    return blocks


def _table(sheet: Sheet, columns: Sequence[int], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(Text(sheet.heads[0]), width=_label_width(sheet, width))
    for j in columns:
        table.add_column(Text(sheet.heads[j]), justify="right", width=_column_width(sheet, j))
    for row in sheet.rows:
        table.add_row(*(Text(row[j]) for j in (0, *columns)))
    return table


def _label_width(sheet: Sheet, width: int) -> int:
    longest = max(len(text) for text in (sheet.heads[0], *sheet.columns[0]))
    return min(longest, WIDEST_LABEL, max(width // 3, 8))


def _column_width(sheet: Sheet, column: int) -> int:
    """Return the width that fits all cells and the longest word of the header, which may wrap."""
    return max(len(text) for text in (*sheet.heads[column].split(), *sheet.columns[column]))


def sentence(text: str) -> str:
    """Add a full stop to a text unless it ends as a sentence already.

    Example:
        >>> sentence("found two runs"), sentence("which one?")
        ('found two runs.', 'which one?')
    """
    return text if text.endswith((".", "?", "!")) else f"{text}."


LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "−": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\dots{}",
    "\n": " ",
}


BETWEEN = re.compile(r"[-+]?[\d.]+( \[[-+]?[\d.]+, [-+]?[\d.]+\])?")
"""A number, optionally followed by the ends of its interval."""


def _in_latex(text: str) -> str:
    """Escape a text; an estimate becomes a formula, so its signs are set in math mode."""
    value, sign, half_width = text.partition(" ± ")
    if sign and _is_number(value) and _is_number(half_width):
        return rf"${value} \pm {half_width}$"
    if BETWEEN.fullmatch(text):
        return f"${text}$"
    return "".join(LATEX.get(letter, letter) for letter in text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
