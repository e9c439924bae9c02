"""Cells of a comparison."""

from __future__ import annotations

import doctest

import pytest

from lifelong.evaluation import comparison_sheet
from lifelong.evaluation.compared import Difference, Method
from lifelong.evaluation.comparison_sheet import sheet
from tests.toy_runs import make_run


def cells(difference: Difference, **setting: object) -> dict[str, str]:
    rows = [Method.of(label, [make_run(**setting)]) for label in "ab"]  # type: ignore[arg-type]
    made = sheet(rows, [difference], "a")
    return dict(zip(made.heads, made.rows[1], strict=True))


def test_a_difference_is_signed_and_in_the_unit_of_the_scores() -> None:
    difference = Difference("b", "a", value=0.0125, low=-0.0204, high=0.05, p=0.0204, adjusted_p=0.0408)
    assert cells(difference)["difference from a"] == "+1.2 [-2.0, +5.0]"
    assert cells(difference, percent=False)["difference from a"] == "+0.0125 [-0.0204, +0.0500]"
    assert cells(difference)["p"] == "0.041"


@pytest.mark.parametrize(("p", "text"), [(0.0009, "<0.001"), (0.001, "0.001"), (1.0, "1.000"), (0.0496, "0.050")])
def test_small_p_values_are_not_0(p: float, text: str) -> None:
    assert cells(Difference("b", "a", value=0.0, low=0.0, high=0.0, adjusted_p=p))["p"] == text


def test_a_difference_that_is_not_there_has_its_reason() -> None:
    assert cells(Difference("b", "a", reason="another split"))["difference from a"] == "n/a: another split"


def test_memory_and_time_are_shown_where_there_are_any() -> None:
    difference = Difference("b", "a", reason="unfinished")
    assert (cells(difference)["memory"], cells(difference)["time"]) == ("1.5 kB", "1.5 min")
    assert not {"memory", "time"} & cells(difference, strategy_bytes={}, wall_seconds=0.0).keys()


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(comparison_sheet).failed == 0
