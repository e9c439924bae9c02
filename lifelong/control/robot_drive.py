"""One robot, driven by a trained learner, with a film and its measures."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from lifelong.control.drive import Drive
from lifelong.control.film import film_suffix, side_by_side, write_film
from lifelong.control.plan_film import plan_films
from lifelong.control.robot_domains import RobotDomains, check_answers
from lifelong.control.simulation import Dynamics
from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.files import write_json, write_whole
from lifelong.utilities.ranges import check_number

View = Literal["scene", "plan"]
"""What a film shows: the simulator's rendering, or a view from above drawn from the robot's positions."""


@dataclass(frozen=True, eq=False)
class RobotDrive:
    """Store the drive of one robot with adaptation and, optionally, without.

    Args:
        domain: name of the domain.
        robot: number of the robot in its domain, from 1.
        part: part of the evaluation tasks that its support set comes from.
        seed: seed of the robots. If None, those of the closed-loop evaluation.
        dynamics: parameters of the robot.
        drives: drives by name, ``adapted`` first.
    """

    domain: str
    robot: int
    part: Part
    seed: int | None
    dynamics: Dynamics
    drives: dict[str, Drive]

    @property
    def file_name(self) -> str:
        """Return the name of the robot's files, without a suffix."""
        domain = re.sub(r"[^A-Za-z0-9]+", "_", self.domain).strip("_")
        seed = "" if self.seed is None else f"_seed_{self.seed}"
        return f"drive_{domain}_{self.part}_{self.robot}{seed}"

    def content(self) -> dict[str, Any]:
        """Return the content of the JSON file by name."""
        names = ("domain", "robot", "part", "seed", "dynamics")
        content: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name, drive in self.drives.items():
            content[name] = {
                "measures": {measure: float(values[0]) for measure, values in drive.measures.items()},
                "seconds_driven": drive.seconds_per_step * (self._n_frames(drive) - 1),
                "failures": [text.partition(": ")[2] for text in drive.failures],
            }
        return content

    def table(self) -> Table:
        """Return the measures of each drive, side by side."""
        title = Text(f"robot {self.robot} of {self.domain} ({self.part})")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("")
        for name in self.drives:
            table.add_column(name, justify="right")
        measures = dict.fromkeys(measure for drive in self.drives.values() for measure in drive.measures)
        for measure in measures:
            values = [drive.measures.get(measure, np.full(1, np.nan))[0] for drive in self.drives.values()]
            table.add_row(measure.replace("_", " "), *("–" if np.isnan(v) else f"{v:.4g}" for v in values))
        return table

    def write(self, film: Path, view: View) -> list[Path]:
        """Write the film, and the measures as JSON next to it; return the paths.

        Args:
            film: path that ends in ``.mp4`` or ``.gif``.
            view: what the film shows.

        Raises:
            ValueError: when the path has another ending.
        """
        check_film(film)
        if (numbers := film.with_suffix(".json")).exists() and not _is_of_drive(numbers):
            raise ValueError(f"{numbers} is there already and is of no drive: give --film another name")
        drives = list(self.drives.values())
        films = [drive.frames for drive in drives] if view == "scene" else plan_films(drives)
        captions = [f"{self.domain}: {name}" for name in self.drives]
        frames, pace = side_by_side(films, captions), drives[0].seconds_per_step
        film.parent.mkdir(parents=True, exist_ok=True)
        write_whole(film, partial(write_film, frames=frames, seconds_per_step=pace, suffix=film.suffix))
        return [film, write_json(film.with_suffix(".json"), self.content())]

    @staticmethod
    def _n_frames(drive: Drive) -> int:
        return int(np.isfinite(drive.states[0]).all(axis=-1).sum())


def _is_of_drive(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and {"domain", "dynamics"} <= content.keys()


def check_film(film: Path) -> None:
    """Raise an error if a path does not end like a film.

    Raises:
        ValueError: when it does not; the message lists the endings.
    """
    if film.suffix not in (".mp4", ".gif"):
        raise ValueError(f"the film {film} has no ending of a film: give it .mp4 (extra robot) or .gif")


def drive_robot(
    module: StreamModule,
    data: StreamDataModule,
    folder: Path,
    *,
    domain: str | None = None,
    robot: int = 1,
    seed: int | None = None,
    part: Part = "test",
    compare: bool = True,
    view: View = "scene",
    film: str | Path | None = None,
) -> tuple[RobotDrive, list[Path]]:
    """Drive one robot with a trained learner, and write a film and the measures.

    Dynamics, room and the goal in the room are those of the closed-loop evaluation for this robot number. Calibration,
    initial state and, without a room, the goal are drawn anew, because the robot is driven alone.

    Args:
        module: the learner with its strategies.
        data: the data of its stream.
        folder: folder of the run.
        domain: domain of the robot. Default: the first domain that has robots.
        robot: number of the robot, from 1.
        seed: seed that draws robots other than those of the evaluation. If None, those of the evaluation.
        part: ``val`` or ``test``.
        compare: also drive it without adaptation, side by side in the film and the measures.
        view: ``scene``, the simulator's rendering, or ``plan``, a view from above.
        film: path that ends in ``.mp4`` or ``.gif``. Default: in the run folder, named after the robot.

    Returns:
        The drive, and the paths of the files that were written.

    Raises:
        ValueError: when the stream has no such domain, the domain has no robots, or an argument is out of range.
    """
    check_number("--robot", robot, least=1, whole=True)
    check_number("--seed", seed, least=0, whole=True)
    for name, value, known in (("part", part, ("val", "test")), ("view", view, get_args(View))):
        if value not in known:
            raise ValueError(f"--{name} is {value!r}: choose from {', '.join(known)}")
    if film is not None:
        check_film(Path(film))
    check_answers(module.strategies)
    data.load()
    robots = RobotDomains(data, None if domain is None else [domain], robot)
    drives: dict[str, Drive] = {}
    for name in ("adapted", "without adaptation")[: 1 + compare]:
        drives[name], dynamics = robots.drive_last(
            module, part, seed=seed, adapt=name == "adapted", film=view == "scene"
        )
    driven = RobotDrive(robots.names[0], robot, part, seed, dynamics, drives)
    return driven, driven.write(Path(film or folder / f"{driven.file_name}{film_suffix()}"), view)
