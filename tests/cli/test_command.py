"""Commands with options of their own: one style of help, and lines that are understood in any order."""

from __future__ import annotations

from argparse import ArgumentError
from dataclasses import dataclass, fields

import pytest

from lifelong.cli.command import WIDTH, Command
from lifelong.cli.main import OF_MODELS, main

COMMANDS = {name: command for name, (_, command) in OF_MODELS.items()}


@dataclass(frozen=True)
class Walk:
    """Walk somewhere.

    Args:
        run: where.
        pace: how fast; in steps for each second, which is what a person who walks on her own through a quiet wood does.
        with_dog: take it along.
    """

    run: str
    pace: int
    with_dog: bool = False


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_line_for_each_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    page = capsys.readouterr().out
    lines = page.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith(f"usage: python -m lifelong {name} ")
    assert " ".join(page.split()).count((COMMANDS[name].options.__doc__ or "").strip().splitlines()[0]) == 1
    n_named = len(fields(COMMANDS[name].options)) - bool(COMMANDS[name].takes)
    rows = lines[lines.index("options:") + 1 :]
    assert len(rows) == n_named + 1  # and --help itself
    assert not [row for row in rows if row.endswith((" …", ",")) or "null" in row or "type:" in row]


@pytest.mark.parametrize("name", COMMANDS)
def test_whole_texts_are_behind_a_word(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help.all"])
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= WIDTH
    assert len(page) > len(COMMANDS[name].page())


def test_a_line_is_understood_in_any_order() -> None:
    command = Command("walk", Walk)
    assert command.parse(["--pace", "3", "home", "--with_dog"]) == Walk("home", 3, True)
    assert command.parse(["--with_dog", "home", "--pace=3"]) == Walk("home", 3, True)
    assert command.parse(["--with_dog", "false", "--pace=-3", "home"]) == Walk("home", -3, False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "walk needs a run, and none is named: python -m lifelong walk runs/name, or last"),
        (["home", "away"], "walk takes one RUN, and found home, away: give one after the other"),
        (["home"], "walk has no --pace, and needs one: how fast; in steps"),
    ],
)
def test_what_is_missing_is_said(args: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Command("walk", Walk).parse(args)


@pytest.mark.parametrize("args", [["home", "--pace=1", "--pase=1"], ["home", "--pase", "1"], ["--pase", "home"]])
def test_an_unknown_option_is_refused(args: list[str]) -> None:
    with pytest.raises(ArgumentError, match="--pase"):
        Command("walk", Walk).parse(args)
