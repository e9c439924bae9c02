"""Keys that mean nothing are answered with the nearest one."""

from __future__ import annotations

import pytest

from lifelong.sweep.names import check_keys


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rowss": 1}, r"a table has no key rowss: did you mean rows\?"),
        ({"xyzzy": 1}, "a table has no key xyzzy: there are name, rows"),
        ({"rows": 1}, "a table has no name: give it name"),
        ([1], r"a table is \[1\]: give it name"),
    ],
)
def test_keys_are_checked(content: object, message: str) -> None:
    check_keys("a table", {"name": 1}, ["name", "rows"], needed=["name"])
    with pytest.raises(ValueError, match=message):
        check_keys("a table", content, ["name", "rows"], needed=["name"])
