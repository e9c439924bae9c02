"""Shell completion of commands, options, classes and configs, with argcomplete (extra ``completion``).

jsonargparse's own completion would build the whole parser, and thus import torch for seconds at each key press. Here
the words are read from the source code within a few tenths of a second.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from lifelong.cli.catalogue import KINDS
from lifelong.cli.class_help import ALL
from lifelong.cli.classes import KINDS as TAKEN
from lifelong.cli.classes import full_option, known_classes
from lifelong.cli.help_page import ABOUT, GROUPS
from lifelong.run.configs import shipped_configs
from lifelong.utilities.source_code import arguments

CONFIGURED = (*ABOUT, "predict")
"""Commands that take the options of ``fit``."""
CLASSES = tuple(full_option(option) for option in (*TAKEN, "optimizer", "lr_scheduler", "callbacks"))
"""Options whose values are completed with class names, and whose classes' own options are completed."""
USUAL = {"model": "ProtoNet", "data": "EpisodicDataModule", "model.network": "Conv4", "optimizer": "Adam"}
"""Default class of an option, if the command line names none."""
OPTIONS = {"predict": "Asked", "drive": "DriveOptions"}
"""Name of a command's options class, if it differs from the command's name."""
FIRST = ("run", "runs", "file")
"""Positional arguments of commands."""
TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
SWITCHES = ("--help", "--print_config", "--trust", "--dry_run", *ALL)
"""Options without a value."""


def complete(
    commands: Sequence[str], *, output: TextIO | None = None, exit_method: Callable[[int], Any] = os._exit
) -> None:
    """Print the completions for the command line, which the shell passes in environment variables, and exit.

    Args:
        commands: names of all commands.
        output: where the completions are written. Default: argcomplete's own channel.
        exit_method: function that exits the program.

    Raises:
        ImportError: when argcomplete is not installed.
    """
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()
    parser = make_parser(commands, words)
    argcomplete.autocomplete(parser, exit_method=exit_method, output_stream=output, append_space=True)


def make_parser(commands: Sequence[str], words: Sequence[str]) -> argparse.ArgumentParser:
    """Create a small parser with the names of commands and options, and with their completions.

    Args:
        commands: names of all commands.
        words: words of the command line so far.
    """
    parser = argparse.ArgumentParser(prog="lifelong", allow_abbrev=False)
    parser.add_argument("--version", action="store_true")
    added = parser.add_subparsers()
    for command in commands:
        own = added.add_parser(command, allow_abbrev=False, add_help=False)
        if command not in words:
            continue
        for option, values in _options(command, words).items():
            _add(own, option, values)
        if command == "list":
            _give(own.add_argument("kind", nargs="?"), KINDS)
        elif command not in CONFIGURED or command == "extend":
            _give(own.add_argument("run", nargs="*"), _runs())
    return parser


def _add(parser: argparse.ArgumentParser, option: str, values: Iterable[str] | None) -> None:
    if option in SWITCHES:
        parser.add_argument(option, action="store_true")
        return
    names = [option, "-c"] if option == "--config" else [option]
    made = parser.add_argument(*names, action="append")
    if values is not None:
        _give(made, values)


def _give(action: argparse.Action, values: Iterable[str]) -> None:
    given = sorted(values, key=str.lower)
    action.completer = lambda **_: given  # type: ignore[attr-defined]


def _options(command: str, words: Sequence[str]) -> dict[str, Iterable[str] | None]:
    """Return the options of a command, each with its possible values. None completes file names."""
    if command == "list":
        return {}
    if command not in CONFIGURED or "--query" in words:
        made = OPTIONS.get(command, command.capitalize())
        names = [name for name in arguments(f"lifelong.cli.{command}.{made}") if name not in FIRST]
        own: dict[str, Iterable[str] | None] = dict.fromkeys(["--help", *(f"--{name}" for name in names)])
        return own
    options: dict[str, Iterable[str] | None] = dict.fromkeys(SWITCHES)
    options |= {"--config": shipped_configs()}
    for rows in GROUPS.values():
        for uses, text, _ in rows:
            if (command in uses or command == "predict") and "NAME VALUE" not in text:
                name, *kind = text.split()
                options[name] = _choices(kind[0] if kind else "")
    options |= {f"--trainer.{name}": None for name in arguments(TRAINER)} | {k: v for k, v in options.items() if v}
    for option in CLASSES:
        known = known_classes(option)
        path = known.get(_named(option, words) or USUAL.get(option, ""))
        if option.count(".") < 2 or _named(option.rpartition(".")[0], words):
            options |= {f"--{option}": known, f"--{option}.help": known}
        if path:
            options |= {f"--{option}.{name}": _usual_values(name) for name in arguments(path)} | {
                name: value for name, value in options.items() if value
            }
    return options


def _named(option: str, words: Sequence[str]) -> str | None:
    """Return the last class that the command line names for an option."""
    text = " ".join(words)
    found = re.findall(rf"--{re.escape(option)}\+?[ =]\[?(?:[\w.]+,)*([\w.]+)", text)
    return found[-1].rpartition(".")[2] if found else None


def _usual_values(name: str) -> Iterable[str] | None:
    return known_classes(name) if name in TAKEN else None


def _choices(kind: str) -> list[str] | None:
    return kind.strip("{}").split(",") if kind.startswith("{") else None


def _runs() -> list[str]:
    """Return the runs below ``runs``, and ``last``."""
    folders = sorted(path.parent for path in Path("runs").glob("*/config.yaml"))
    return ["last", *map(str, folders)]
