"""``python -m lifelong drive RUN``: one robot, driven by what a run has learnt, with a film and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console

from lifelong.cli.command import Command
from lifelong.control.robot_drive import View
from lifelong.run.load import load
from lifelong.run.sentences import in_one_sentence


@dataclass(frozen=True)
class DriveOptions:
    """Drive one robot with what a run has learnt, and write a film of it with its numbers.

    Args:
        run: a run folder, a checkpoint, or ``last``: the newest run below runs/.
        domain: its name; without it the first that has robots.
        robot: its number among the robots of the domain.
        seed: of other robots than those of the evaluation.
        part: whose robots.
        compare: drive it without adaptation as well, beside it.
        view: the simulator's picture, or the way from above.
        film: ends in .mp4 or .gif; in the run folder without it.
        trust: import every class that the run's config names.
    """

    run: str
    domain: str | None = None
    robot: int = 1
    seed: int | None = None
    part: Literal["val", "test"] = "test"
    compare: bool = True
    view: View = "scene"
    film: str | None = None
    trust: bool = False


COMMAND = Command("drive", DriveOptions, needed="a run that has learnt", example="runs/name, or last for the newest")


def drive(args: Sequence[str]) -> None:
    """Drive one robot, print its numbers, and say where the film is.

    Args:
        args: the run (a folder, a checkpoint, or ``last``) and options.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when no run is named, or it cannot drive such a robot.
    """
    options = asdict(COMMAND.parse(args))
    path, trust = options.pop("run"), options.pop("trust")
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
