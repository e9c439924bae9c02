from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from docs.generate.catalogue import Method, methods
from docs.generate.commands import COMMANDS
from lifelong.cli.parser import parse
from lifelong.utilities import plugins


def test_every_method_has_a_command() -> None:
    assert set(COMMANDS) == {method.name for method in methods()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_command_is_understood(method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    plugins.load()
    command, *options = shlex.split(COMMANDS[method.name])
    assert method.name in options or method.name == "PromptPool"
    parse(command, options)
