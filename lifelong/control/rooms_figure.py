"""A figure of robots' trajectories in their rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.control.drive import Drive
from lifelong.control.rooms.room import Obstacle, Room
from lifelong.evaluation.plots import COLOURS, title_above
from lifelong.evaluation.plots.style import make_figure
from lifelong.evaluation.tables import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROOMS = 5
"""Number of rooms drawn per domain."""
SIDE = 1.75  # side of a panel in inches
WALL, COMES, GOES = "#3c4048", "#b07a30", "#9aa0a8"


def rooms_figure(drives: Sequence[tuple[str, Drive | None, Drive]], *, title: str) -> Figure:
    """Draw the first rooms of each domain in a row, with the robots' trajectories before and after adaptation.

    Args:
        drives: for each domain its name, its drive before adaptation (or None) and its drive after it, in rooms.
        title: title above the figure.
    """
    n_columns = min(MAX_ROOMS, max(len(after.rooms) for _, _, after in drives))
    figure = make_figure((SIDE * n_columns + 0.4, (SIDE + 0.2) * len(drives) + 0.9))
    axes = figure.subplots(len(drives), n_columns, squeeze=False)
    for row, (name, before, after) in zip(axes, drives, strict=True):
        for number, panel in enumerate(row):
            if number >= len(after.rooms):
                panel.set_visible(False)
                continue
            _draw_room(panel, after.rooms[number])
            for drive, colour, style in ((before, COLOURS[1], ":"), (after, COLOURS[0], "-")):
                if drive is not None:
                    _draw_way(panel, drive, number, colour, style)
        row[0].set_title(f"{shorten(name)}: {_success(after)}", fontsize=9, loc="left")
    _add_key(figure, has_before=any(before is not None for _, before, _ in drives))
    title_above(figure, title)
    return figure


def _success(drive: Drive) -> str:
    return f"{100 * float(np.nanmean(drive.scores)):.0f} % of {len(drive.scores)} rooms"


def _draw_room(axes: Axes, room: Room) -> None:
    from matplotlib.patches import Circle, Rectangle

    for obstacle in room.obstacles:
        centre = (obstacle.x, obstacle.y)
        corner = (obstacle.x - obstacle.half_width, obstacle.y - obstacle.half_height)
        look = _look(obstacle)
        if obstacle.is_box:
            axes.add_patch(Rectangle(corner, 2 * obstacle.half_width, 2 * obstacle.half_height, **look))
        else:
            axes.add_patch(Circle(centre, obstacle.radius, **look))
    axes.plot(*room.goal, "*", color=COLOURS[2], markersize=11, markeredgecolor="white", zorder=3)
    axes.plot(*room.start, "o", color="0.25", markersize=5, markerfacecolor="white", zorder=4)
    axes.set_xlim(0, room.width)
    axes.set_ylim(0, room.height)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def _look(obstacle: Obstacle) -> dict[str, Any]:
    if obstacle.appears > 0:
        return {"facecolor": COMES, "edgecolor": "none"}
    if np.isfinite(obstacle.vanishes):
        return {"facecolor": "none", "edgecolor": GOES, "hatch": "////", "linewidth": 0.6}
    return {"facecolor": WALL, "edgecolor": "none"}


def _draw_way(axes: Axes, drive: Drive, number: int, colour: str, style: str) -> None:
    assert drive.positions is not None, "robots in rooms have positions"
    places = drive.positions[number]
    way = places - places[0] + np.array(drive.rooms[number].start)
    axes.plot(way[:, 0], way[:, 1], style, color=colour, linewidth=1.4, gid="way")
    if drive.scores[number] < 1:
        last = way[np.isfinite(way).all(axis=-1)][-1]
        axes.plot(*last, "x", color="#b00020", markersize=7, markeredgewidth=2, zorder=5)


def _add_key(figure: Figure, *, has_before: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D(
            [], [], linestyle="none", marker="o", markersize=5, markerfacecolor="white", color="0.25", label="start"
        ),
        Line2D([], [], linestyle="none", marker="*", markersize=10, color=COLOURS[2], label="goal"),
        Line2D([], [], color=COLOURS[0], label="way"),
    ]
    if has_before:
        handles.append(Line2D([], [], color=COLOURS[1], linestyle=":", label="way before adaptation"))
    handles += [
        Line2D([], [], linestyle="none", marker="x", color="#b00020", markeredgewidth=2, label="failed"),
        Patch(facecolor=COMES, label="appears"),
        Patch(facecolor="none", edgecolor=GOES, hatch="////", label="vanishes"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
