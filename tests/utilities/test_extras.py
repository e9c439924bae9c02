"""A package that is missing is one sentence with the extra that brings it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lifelong
from lifelong.utilities.extras import imported

PACKAGES = Path(lifelong.__file__).parents[1]


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(ValueError, match=r"^a video needs the package no_such_package .*'\.\[robot\]'$"):
        imported("no_such_package", "a video", "robot")


def test_a_package_that_does_not_fit_another_is_one_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_another_version.py").write_text("raise RuntimeError('was built for another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"was built for another torch.*\[text\]"):
        imported("of_another_version", "a transformer", "text")


def test_extras_that_are_named_exist() -> None:
    declared = (PACKAGES / "pyproject.toml").read_text(encoding="utf-8")
    named = set()
    for folder in ("lifelong", "datamodules", "strategies"):
        for file in (PACKAGES / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "imported":
                    given = [*node.args[2:], *(k.value for k in node.keywords if k.arg == "extra")]
                    named |= {extra.value for extra in given if isinstance(extra, ast.Constant)}
    assert {"text", "hf", "serve", "ray"} <= named
    assert all(f"\n{extra} = [" in declared for extra in named)
