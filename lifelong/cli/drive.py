"""``python -m lifelong drive RUN``: one robot, driven by what a run has learnt, with a film and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jsonargparse import ArgumentParser
from rich.console import Console

from lifelong.control.robot_drive import View
from lifelong.run.load import load
from lifelong.run.sentences import in_one_sentence

USAGE = "python -m lifelong drive runs/name"


def drive(args: Sequence[str]) -> None:
    """Drive one robot, print its numbers, and say where the film is.

    Args:
        args: the run (a folder, a checkpoint, or ``last``) and options.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when no run is named, or it cannot drive such a robot.
    """
    options = drive_parser().parse_args(list(args)).as_dict()
    path, trust = options.pop("RUN"), options.pop("trust")
    if path is None:
        raise ValueError(f"drive needs a run that has learnt, and none is named: {USAGE}, or last for the newest")
    with in_one_sentence():
        run = load(path, trust=trust, way_out="give --trust if you trust its author")
        driven, files = run.drive(**options)
    console = Console()
    console.print(driven.table())
    for name, drive in driven.drives.items():
        for text in drive.failures:
            console.print(f"{name}, failed: {text.partition(': ')[2]}", highlight=False, markup=False)
    for file in files:
        print(f"written: {file}", flush=True)


def drive_parser() -> ArgumentParser:
    """Make the parser of the command."""
    parser = ArgumentParser(prog="python -m lifelong drive", exit_on_error=False)
    parser.add_argument("RUN", type=str | None, nargs="?", help="a run folder, a checkpoint, or last for the newest")
    parser.add_argument("--domain", type=str | None, default=None, help="its name; the first that has robots")
    parser.add_argument("--robot", type=int, default=1, help="its number among the robots of the domain")
    parser.add_argument("--seed", type=int | None, default=None, help="other robots than those of the evaluation")
    parser.add_argument("--part", type=Literal["val", "test"], default="test", help="whose robots")
    parser.add_argument("--compare", type=bool, default=True, help="drive it without adaptation as well, beside it")
    parser.add_argument("--view", type=View, default="scene", help="the simulator's picture, or the way from above")
    parser.add_argument("--film", type=str | None, default=None, help=".mp4 or .gif; in the run folder without it")
    parser.add_argument("--trust", action="store_true", help="import every class that the run's config names")
    return parser
