"""The direction of imports: plug-ins import the core, never the reverse, and never each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "lifelong": {"strategies", "datamodules"},
    "strategies": {"datamodules"},
    "datamodules": {"strategies"},
}


def imported_packages(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_towards_the_core(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported_packages(file) & FORBIDDEN[package], file


def test_mathematics_imports_no_lightning() -> None:
    for name in ("adaptation", "batch", "mapping", "objective", "pool", "sampling", "stream", "evaluation/metrics"):
        assert "lightning" not in imported_packages(ROOT / "lifelong" / f"{name}.py"), name
