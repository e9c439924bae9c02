"""Tables as HTML."""

import doctest
from xml.etree import ElementTree

import numpy as np
import pytest

from lifelong.evaluation import html
from lifelong.evaluation.estimate import Estimate
from lifelong.evaluation.html import matrix_html


@pytest.mark.parametrize(("n_rows", "n_columns", "rows", "columns"), [(2, 3, 2, 3), (50, 3, 41, 3), (1, 60, 1, 41)])
def test_large_matrices_show_both_ends(n_rows: int, n_columns: int, rows: int, columns: int) -> None:
    matrix = np.arange(n_rows * n_columns, dtype=float).reshape(n_rows, n_columns)
    names = [f"d{i}" for i in range(max(n_rows, n_columns))]
    averages = [Estimate(0.5, 0.1)] * n_rows
    text = matrix_html(matrix, matrix, names[:n_rows], names[:n_columns], averages, percent=False, title="a & b")
    table = ElementTree.fromstring(text)
    assert table.findtext("caption") == "a & b"
    lines = table.findall("tbody/tr")
    assert len(lines) == rows
    assert {len(line) for line in lines} == {len(table.findall("thead/tr/th"))} == {columns + 2}
    assert lines[-1].findtext("th") == f"d{n_rows - 1}"


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(html)
    assert result.attempted >= 3
    assert result.failed == 0
