"""What is no class has no name."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.utilities.class_names import class_name


@pytest.mark.parametrize(
    ("made", "name"),
    [
        ("EWC", "EWC"),
        ({"class_path": "a.b.C", "init_args": {}}, "C"),
        ({"unrecorded": "Net"}, "Net"),
        ({"class_path": None}, ""),
        ({}, ""),
        (3, ""),
        ([], ""),
    ],
)
def test_a_class_is_named_by_the_end_of_its_path(made: Any, name: str) -> None:
    assert class_name(made) == name
