"""The first page of help: light, true, and by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lifelong.cli import main as command_line
from lifelong.cli import start


@pytest.mark.slow
def test_the_first_page_imports_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from lifelong.cli.start import main; main(['--help']);"
        "print({'torch', 'lightning'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m lifelong")
    assert done.stdout.endswith("set()\n")


@pytest.mark.parametrize("name", ["fit", "validate", "test", "predict", "sweep"])
def test_the_first_page_names_every_command(name: str) -> None:
    assert f"\n  {name} " in start.page()


def test_everything_else_is_the_command_line_proper(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(command_line, "main", given.append)
    for args in (["fit", "--help"], ["--config", "a.yaml", "fit"], []):
        start.main(args)
    assert given == [["fit", "--help"], ["--config", "a.yaml", "fit"], []]
