"""Amounts have a unit that fits."""

from __future__ import annotations

import doctest

from lifelong.utilities import amounts
from lifelong.utilities.amounts import bytes_text, seconds_text


def test_sizes_and_times_have_their_unit() -> None:
    assert [bytes_text(n) for n in (0, 12, 999, 1000, 9_949, 9_951, 1e6, 3e9)] == [
        "0", "12 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "1.0 MB", "3.0 GB",
    ]  # fmt: skip
    assert [seconds_text(s) for s in (0, 59.9, 60, 3600)] == ["0.0 s", "59.9 s", "1.0 min", "1.0 h"]


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(amounts).failed == 0
