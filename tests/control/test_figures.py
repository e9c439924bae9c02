from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.control.drive import Drive
from lifelong.control.figures import trajectories_figure


def drive_of(places: Any, goals: Any, success: Any) -> Drive:
    states = np.array(places, dtype=np.float32)
    nothing = np.zeros((len(states), states.shape[1] - 1, 2), dtype=np.float32)
    return Drive({"success": np.array(success)}, states, nothing, np.array(goals, dtype=np.float32), positions=states)


def test_pairs_of_trajectories_show_the_same_region() -> None:
    goals = [[[1, 1]] * 3, [[-1, 1]] * 3]
    after = drive_of([[[0, 0], [0.5, 0.5], [1, 1]], [[0, 0], [-1, 1], [np.nan] * 2]], goals, [1.0, 1.0])
    before = drive_of([[[0, 0], [-50, 0], [-99, 0]], [[0, 0], [0, -1], [0, -2]]], goals, [0.0, 0.0])
    figure = trajectories_figure([("a", before, after), ("b", None, after), ("c", before, after)], title="t")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        "a\nbefore adaptation: success 0 %",
        "a\nafter adaptation: success 100 %",
        "b\nafter adaptation: success 100 %",
        "c\nbefore adaptation: success 0 %",
        "c\nafter adaptation: success 100 %",
    ]
    assert len({axes.get_xlim() for axes in shown}) == 1
    assert abs(shown[0].get_xlim()[0]) < 3
    assert len([line for line in shown[0].lines if line.get_gid() == "trajectory"]) == 2
    with pytest.raises(ValueError, match="no trajectories"):
        trajectories_figure([], title="")
