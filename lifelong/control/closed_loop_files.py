"""The figures and films of a closed-loop evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lifelong.control.closed_loop_result import ClosedLoopResult
from lifelong.control.drive import Drive
from lifelong.control.figures import score_figure, support_curve_figure, trajectories_figure
from lifelong.control.film import film_suffix, side_by_side, write_film
from lifelong.control.rooms_figure import rooms_figure
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.utilities.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ClosedLoopFiles:
    """Draw the figures of a closed-loop evaluation, and write its films into a folder.

    Args:
        folder: the folder of the films.
        result: result of the evaluation.
        title: returns the title above a figure, given its subject.
    """

    folder: Path
    result: ClosedLoopResult
    title: Callable[[str], str]

    def pictures(
        self, data: StreamDataModule, before: Sequence[Drive | None], after: Sequence[Drive]
    ) -> dict[str, Figure]:
        """Draw the heat map and, if available, trajectories, rooms and support curve; return the figures by name.

        Args:
            data: the stream.
            before: for each domain, a drive without adaptation, or None.
            after: for each domain, a drive with adaptation.
        """
        result, part = self.result, self.result.part
        robots = self.title(f"{result.n_robots} {part} robots a domain")
        figures = {"closed loop": score_figure(result, data, title=robots)}
        drives = zip(result.domains, before, after, strict=True)
        drawable = [(name, first, second) for name, first, second in drives if second.positions is not None]
        in_rooms, on_open_ground = ([d for d in drawable if bool(d[2].rooms) is inside] for inside in (True, False))
        if in_rooms:
            figures["rooms"] = rooms_figure(in_rooms, title=robots)
        if on_open_ground:
            figures["trajectories"] = trajectories_figure(on_open_ground, title=robots)
        if result.support_curve is not None:
            windows = self.title(f"model error on {part} windows")
            figures["support curve"] = support_curve_figure(result.support_curve, result.domains, title=windows)
        return figures

    def write_films(self, before: Sequence[Drive], after: Sequence[Drive]) -> list[str]:
        """Write a film of each domain, without and with adaptation side by side; return the file names."""
        suffix, names = film_suffix(), []
        for domain, first, second in zip(self.result.domains, before, after, strict=True):
            captions = [f"{domain}: {when} adaptation" for when in ("before", "after")]
            frames = side_by_side([first.frames, second.frames], captions)
            stem = f"drive_{re.sub(r'[^A-Za-z0-9]+', '_', domain).strip('_')}"
            names.append(self.result.file_name(stem, suffix))
            write = partial(write_film, frames=frames, seconds_per_step=second.seconds_per_step, suffix=suffix)
            write_whole(self.folder / names[-1], write)
        return names
