"""Numbers outside of their range are refused, with the range in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lifelong.utilities.ranges import check_number

INSIDE: list[tuple[Any, dict[str, Any]]] = [
    (None, {"least": 1}),
    (1, {"least": 1}),
    (np.int64(3), {"least": 1, "whole": True}),
    (np.float32(0.5), {"above": 0, "below": 1}),
    (1, {"most": 1}),
]
OUTSIDE: list[tuple[Any, dict[str, Any], str]] = [
    (0, {"least": 1}, "at least 1"),
    (0, {"above": 0}, "above 0"),
    (1.5, {"least": 0, "most": 1}, "at least 0 and at most 1"),
    (1, {"least": 0, "below": 1}, "at least 0 and below 1"),
    (math.nan, {"least": 0}, "at least 0"),
    (math.inf, {"above": 0}, "above 0"),
    (math.nan, {}, "a finite number"),
    (2.5, {"least": 1, "whole": True}, "a whole number, at least 1"),
    ("3", {"least": 1}, "at least 1"),
    (True, {"least": 0}, "at least 0"),
]


@pytest.mark.parametrize(("value", "bounds"), INSIDE)
def test_a_number_in_its_range_passes(value: Any, bounds: dict[str, Any]) -> None:
    check_number("it", value, **bounds)


@pytest.mark.parametrize(("value", "bounds", "words"), OUTSIDE)
def test_a_number_outside_is_named_with_its_range(value: Any, bounds: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^--a.b is {value}: it must be {words}, or null$"):
        check_number("--a.b", value, hint=", or null", **bounds)
