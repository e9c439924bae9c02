"""The house: imports go one way, files and functions stay small, tests mirror the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (
    "utilities",
    "data",
    "compute",
    "text",
    "networks",
    "vision",
    "learners",
    "strategy",
    "training",
    "evaluation",
    "pages",
    "control",
    "run",
    "sweep",
    "serve",
    "cli",
)
"""The rooms of ``lifelong``: a later one may import an earlier one, never back."""
PLUG_INS = ("strategies", "datamodules")
FILES = sorted(file for package in ("lifelong", *PLUG_INS) for file in (ROOT / package).rglob("*.py"))
MATHEMATICS = (
    "compute/inner_loop",
    "compute/mapping",
    "data/episode",
    "data/pool",
    "data/sampling",
    "data/splits",
    "data/stream",
    "evaluation/intervals",
    "evaluation/metrics",
    "evaluation/results",
    "learners/base",
    "learners/objective",
    "strategy",
)
"""What runs without Lightning."""


def imported_modules(file: Path) -> set[str]:
    """Every module that a file imports, in functions and under TYPE_CHECKING too."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return modules


def room(module: str) -> str | None:
    """The room of ``lifelong`` that a module is in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "lifelong" and len(parts) > 1 and parts[1] in ORDER else None


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def violations(file: Path) -> Iterator[str]:
    name, modules = name_of(file), imported_modules(file)
    own = room(name)
    for module in sorted(modules):
        top = module.split(".")[0]
        if name.startswith("lifelong") and top in PLUG_INS:
            yield f"{name} imports the plug-in {module}"
        if top in PLUG_INS and name.split(".")[0] in PLUG_INS and top != name.split(".")[0]:
            yield f"{name} imports {module} of the other plug-ins"
        other = room(module)
        if own is not None and other is not None and ORDER.index(other) > ORDER.index(own):
            yield f"{name} ({own}) imports {module} ({other})"
        if own is not None and module == "lifelong":
            yield f"{name} imports from lifelong itself"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_one_way(file: Path) -> None:
    if file.name != "__init__.py":
        assert list(violations(file)) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    names = {name_of(file): file for file in FILES if file.name != "__init__.py"}
    edges = {name: imported_modules(file) & names.keys() for name, file in names.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circle: {' -> '.join([*path, name])}"
        if name not in done:
            for other in edges[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in names:
        visit(name, ())


@pytest.mark.parametrize("name", MATHEMATICS)
def test_mathematics_imports_no_lightning(name: str) -> None:
    modules = imported_modules(ROOT / "lifelong" / f"{name}.py")
    assert not {module for module in modules if module.split(".")[0] == "lightning"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_file_is_at_most_350_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 350


def test_functions_are_at_most_50_lines() -> None:
    long = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                assert node.end_lineno is not None
                # Signatures and docstrings are as long as there are settings to explain.
                n_lines = node.end_lineno - node.body[0].lineno + 1 - (len(text.splitlines()) + 1 if text else 0)
                if n_lines > 50:
                    long.append(f"{name_of(file)}.{node.name} has {n_lines} lines")
    assert long == []


def test_names_of_tests_are_at_most_60_characters() -> None:
    long = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > 60:
                long.append(f"{file.name}: {node.name}")
    assert long == []


def test_scripts_of_ci_name_files_that_exist() -> None:
    missing = []
    for script in sorted(file for file in (ROOT / ".ci").iterdir() if not file.suffix):
        for word in script.read_text(encoding="utf-8").split():
            if word.startswith(("tests/", "lifelong/", "datamodules/", "strategies/")) and not (ROOT / word).exists():
                missing.append(f"{script.name}: {word}")
    assert missing == []
