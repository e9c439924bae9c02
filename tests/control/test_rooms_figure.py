"""The figure of robots' ways through their rooms."""

from __future__ import annotations

import pytest

from lifelong.control.rooms_figure import rooms_figure
from tests.control.rooms.points_in_rooms import BLOCKED, DETOUR, driven, in_room


@pytest.mark.filterwarnings("ignore")
def test_each_domain_is_a_row_with_its_rooms_and_ways() -> None:
    drive = driven(in_room(DETOUR), in_room(BLOCKED), n_steps=12)
    figure = rooms_figure([("first", None, drive), ("second", drive, drive)], title="points")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    assert panels[0].get_title(loc="left").startswith("first: ")
    ways = [[line for line in axes.lines if line.get_gid() == "way"] for axes in panels]
    assert [len(lines) for lines in ways] == [1, 1, 2, 2]
    assert ways[0][0].get_xydata()[0].tolist() == pytest.approx(DETOUR.start)
    crosses = [sum(line.get_marker() == "x" for line in axes.lines) for axes in panels]
    assert crosses[1] == 1  # no way out of the blocked room
    assert len(panels[0].patches) == len(DETOUR.obstacles)
