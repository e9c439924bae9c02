"""``python -m lifelong drive RUN``: drive one robot with a trained model, and write a video with its metrics."""

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
    """Drive one robot with what a run has learnt, and write a video of it with its metrics.

    Args:
        run: a run folder, a checkpoint, or ``last``: the newest run below runs/.
        domain: name of the domain. Default: the first with robots.
        robot: number of the robot in its domain, from 1.
        seed: seed of other robots. Default: those of the evaluation.
        part: part of the data whose robots are driven.
        compare: also drive it without adaptation.
        view: the simulator's picture, or path from above.
        film: path of the video, ending in .mp4 or .gif. Default: in the run folder.
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
    """Drive one robot, print its metrics, and name the video file.

    Args:
        args: the run (a folder, a checkpoint or ``last``) and options.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when no run is named, or the run has no such robot.
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
