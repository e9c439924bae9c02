"""Docstrings are read without their marks."""

from __future__ import annotations

import doctest

from lifelong.utilities import docstrings


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(docstrings).failed == 0
