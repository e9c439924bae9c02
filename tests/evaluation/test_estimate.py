"""Estimates and numbers as text."""

import doctest

import numpy as np
import pytest

from lifelong.evaluation import estimate as module
from lifelong.evaluation.estimate import Estimate


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(87.3, 0.6), "87.3 ± 0.6"),
        (Estimate(0.8731, 0.0062), "0.873 ± 0.006"),
        (Estimate(-0.00004, 0.9), "0.000 ± 0.900"),
        (Estimate(0.0, 0.0), "0.000 ± 0.000"),
        (Estimate(87.3, float("nan")), "87.3 ± n/a"),
        (Estimate(float("nan"), float("nan")), "n/a"),
        (Estimate(-np.inf, float("nan")), "-inf ± n/a"),
    ],
)
def test_estimate_as_text(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


def test_scaled_estimate_keeps_a_positive_width() -> None:
    assert Estimate(0.5, 0.25).scaled(-100) == Estimate(-50.0, 25.0)


def test_a_scaled_estimate_keeps_its_reason() -> None:
    assert (
        Estimate(np.nan, np.nan, "needs two experiences or more").scaled(100).reason == "needs two experiences or more"
    )


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 3
    assert result.failed == 0
