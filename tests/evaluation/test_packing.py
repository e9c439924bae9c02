"""Packed rows."""

import doctest

import numpy as np
import pytest

from lifelong.evaluation import packing
from lifelong.evaluation.intervals import ragged
from lifelong.evaluation.packing import pack, unpack


@pytest.mark.parametrize("sizes", [(3, 3), (1, 4)])
def test_rows_come_back_as_they_were(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    rows = [ragged([rng.random(n) for n in sizes]) for _ in range(3)]
    rows[1][0] = np.nan
    for row, again in zip(rows, unpack(pack(rows)), strict=True):
        np.testing.assert_array_equal(again, row)
        assert np.ma.isMaskedArray(again) == np.ma.isMaskedArray(row)


def test_cells_that_were_not_evaluated_take_no_room() -> None:
    row = np.full((1000, 5), np.nan)
    row[3] = 1.0
    assert pack([row])["scores"].shape == (1, 5)


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(packing).failed == 0
