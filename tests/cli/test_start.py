"""The first page of help: light, true, and by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lifelong
from lifelong.cli import main as command_line
from lifelong.cli import start
from lifelong.cli.parser import COMMANDS


@pytest.mark.slow
def test_the_first_page_imports_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from lifelong.cli.start import main; main(['--help']);"
        "print({'torch', 'lightning'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m lifelong")
    assert done.stdout.endswith("set()\n")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    start.main(["--version"])
    assert capsys.readouterr().out == f"lifelong {lifelong.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_page_names_every_command(name: str) -> None:
    assert f"\n  {name} " in start.page()


def test_everything_else_is_the_command_line_proper(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(command_line, "main", given.append)
    for args in (["fit", "--help"], ["--config", "a.yaml", "fit"], []):
        start.main(args)
    assert given == [["fit", "--help"], ["--config", "a.yaml", "fit"], []]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["list strategies", "list configs", "--help"])
def test_a_reader_may_stop_reading(command: str) -> None:
    line = f"{sys.executable} -m lifelong {command} | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.stderr == ""
