"""A table of texts in its formats: what fits, and what is escaped."""

from __future__ import annotations

import csv
import doctest
import io

import pytest

from lifelong.evaluation import sheets
from lifelong.evaluation.sheets import Below, Sheet, csv_text, latex_text, markdown_text, plain_text

SHEET = Sheet(
    ("method", "average accuracy ↑", "forgetting ↓", "difference"),
    (
        ("EWC, strength=1", "75.0 ± 1.2", "-0.3 ± 0.1", "-0.4 [-1.1, +0.2]"),
        ("a_b & 50%", "n/a", "n/a", "n/a: other split"),
    ),
)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    below = Below(("In % of all test examples a domain, and a sentence that is long",), (), ("unfinished",))
    text = plain_text(SHEET, below, width=width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("75.0 ± 1.2", "-0.3 ± 0.1", "! unfinished."):
        assert words in text


def test_columns_that_do_not_fit_go_below_with_the_labels() -> None:
    wide, narrow = (plain_text(SHEET, Below(), width=width) for width in (120, 50))
    assert wide.count("EWC") == 1
    assert narrow.count("EWC") == 2
    assert narrow.index("75.0 ± 1.2") < narrow.index("[-1.1, +0.2]")


def test_markup_of_a_terminal_is_no_markup() -> None:
    assert "[red]a[/red]" in plain_text(Sheet(("m", "s"), (("[red]a[/red]", "1"),)), Below(), width=60)


def test_markdown_has_a_row_for_each_and_escapes() -> None:
    lines = markdown_text(SHEET, Below(("One",), ("two",), ("three | 3",))).splitlines()
    assert lines[0] == "| method | average accuracy ↑ | forgetting ↓ | difference |"
    assert lines[1] == "|:---|---:|---:|---:|"
    assert lines[3].startswith(r"| a\_b & 50% |")
    assert lines[4:] == ["", "One.", "", "two.", "", r"- **three \| 3.**"]


def test_latex_is_escaped_and_signs_are_mathematics() -> None:
    text = latex_text(SHEET, Below(("In %",), ("a note\nof two lines",), ("x < 1 ~ {y} \\ ^ …",)))
    assert r"EWC, strength=1 & $75.0 \pm 1.2$ & $-0.3 \pm 0.1$ & $-0.4 [-1.1, +0.2]$ \\" in text
    assert r"a\_b \& 50\% & n/a & n/a & n/a: other split \\" in text
    assert r"average accuracy $\uparrow$ & forgetting $\downarrow$" in text
    assert r"x $<$ 1 \textasciitilde{} \{y\} \textbackslash{} \textasciicircum{} \dots{}" in text
    assert "% a note of two lines." in text
    assert r"\begin{tabular}{lrrr}" in text
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{In \%.}"):
        assert text.count(part) == 1
    assert text.isascii()


def test_latex_braces_are_balanced() -> None:
    text = latex_text(SHEET, Below(("{{",), (), ("}",)))
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_csv_is_read_back() -> None:
    assert list(csv.reader(io.StringIO(csv_text(SHEET)))) == [list(SHEET.heads), *map(list, SHEET.rows)]


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(sheets).failed == 0
