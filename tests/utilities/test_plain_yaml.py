"""YAML is read when it is neither too large, nor too deep, nor larger than it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.utilities import plain_yaml
from lifelong.utilities.plain_yaml import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}, *a{i}, *a{i}]\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "line 1"),
        ("a: &a [*a]", "contains itself by an alias"),
        (BOMB, "values with its aliases written out"),
        ("[" * 50_000, "nested too deeply"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_no_plain_yaml_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path} cannot be read as YAML (")
    assert "\n" not in str(caught.value)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: " + "x" * 100)
    assert read_yaml(path) == {"a": "x" * 100}
    monkeypatch.setattr(plain_yaml, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="it has 103 bytes, and at most 100 are read"):
        read_yaml(path)


def test_aliases_that_repeat_little_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {b: [1, null]}\nc: [*a, *a]\nd: {<<: *a, e: 2}")
    inner = {"b": [1, None]}
    assert read_yaml(path) == {"a": inner, "c": [inner, inner], "d": {"b": [1, None], "e": 2}}
