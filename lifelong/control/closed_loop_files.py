"""The figures and films of a closed-loop evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lifelong.control.closed_loop_result import ClosedLoopResult
from lifelong.control.drive import Drive
from lifelong.control.figures import score_figure, support_curve_figure, trajectories_figure
from lifelong.control.film import film_suffix, side_by_side, write_film
from lifelong.control.rooms_figure import rooms_figure
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.plots import save_figure
from lifelong.utilities.files import write_whole


@dataclass(frozen=True, eq=False)
class ClosedLoopFiles:
    """Write the figures and films of a closed-loop evaluation into a folder.

    Args:
        folder: the folder.
        result: result of the evaluation.
        title: title above each figure.
    """

    folder: Path
    result: ClosedLoopResult
    title: str

    def write_pictures(
        self, data: StreamDataModule, before: Sequence[Drive | None], after: Sequence[Drive]
    ) -> list[str]:
        """Write the heat map and, if available, trajectories, rooms and support curve; return the file names.

        Args:
            data: the stream.
            before: for each domain, a drive without adaptation, or None.
            after: for each domain, a drive with adaptation.
        """
        result, part = self.result, self.result.part
        figures = {"closed_loop": score_figure(result, data, title=self.title)}
        drives = zip(result.domains, before, after, strict=True)
        drawable = [(name, first, second) for name, first, second in drives if second.positions is not None]
        in_rooms, on_open_ground = ([d for d in drawable if bool(d[2].rooms) is inside] for inside in (True, False))
        if in_rooms:
            figures["rooms"] = rooms_figure(in_rooms, title=f"{self.title}: {part} robots")
        if on_open_ground:
            figures["trajectories"] = trajectories_figure(on_open_ground, title=f"{self.title}: {part} robots")
        if result.support_curve is not None:
            figures["support_curve"] = support_curve_figure(
                result.support_curve, result.domains, title=f"{self.title}: model error on {part} windows"
            )
        names = []
        for name, figure in figures.items():
            names.append(result.file_name(name, ".png"))
            save_figure(figure, self.folder / names[-1])
        return names

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
