from __future__ import annotations

import numpy as np
import pytest

from lifelong.control.calibration import calibrate
from tests.control.points import Point


def test_calibration_keeps_no_transition_across_a_reset() -> None:
    robot, rng = Point(), np.random.default_rng(0)
    robots = [robot.simulation({"gains": [1.0, -0.5], "breaks": 7}, rng) for _ in range(3)]
    window = calibrate(robot, robots, 24, rng)
    assert window.states.shape == window.following.shape == (3, 24, 2)
    moved = 0.2 * np.array([1.0, -0.5], dtype=np.float32) * window.actions
    np.testing.assert_allclose(window.following - window.states, moved, atol=1e-6)
    with pytest.raises(ValueError, match=r"single step of its calibration: the point became unstable"):
        calibrate(robot, [robot.simulation({"gains": [1.0, 1.0], "breaks": 1}, rng)], 4, rng)
