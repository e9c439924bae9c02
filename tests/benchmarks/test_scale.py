"""The suite of how cost grows: exponents of known power laws, and a stream timed part by part."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.performance import scale
from benchmarks.performance.clocks import PARTS
from benchmarks.performance.suite import Row, Settings
from benchmarks.performance.tables import TABLES
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from strategies import Budget, Replay

SIZES = (1, 4, 16, 64, 256)


def curve(group: str, size: str, power: float, unit: str = "seconds") -> Row:
    return scale.curve(group, "MAML", size, size, unit, {n: [0.9 * n**power, n**power, 1.1 * n**power] for n in SIZES})


ROWS = [
    curve("step", "tasks per batch", 1.0),
    curve("step", "ways", 0.5),
    curve("stream", "experience", 0.0),
    curve("stream", "experience", 1.0, "bytes"),
    curve("buffer", "examples in memory", 0.0),
    curve("ranks", "tasks per batch", 1.0),
]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    slope, half_width = scale.exponent(SIZES, [3 * n**power for n in SIZES])
    assert slope == pytest.approx(power)
    assert half_width == pytest.approx(0, abs=1e-6)


def test_noise_widens_the_interval_and_two_points_have_none() -> None:
    slope, half_width = scale.exponent(SIZES, [n * (1.2 if i % 2 else 0.8) for i, n in enumerate(SIZES)])
    assert abs(slope - 1) < half_width < 1
    assert math.isnan(scale.exponent((1, 2), (1, 4))[1])


def test_a_curve_of_one_point_has_no_slope() -> None:
    row = scale.curve("stream", "EWC", "end", "experience", "seconds", {1: [0.1]})
    assert "exponent" not in row
    assert TABLES["scale"][1].markdown([row]).endswith("| n/a |")


def test_a_table_for_each_group_and_a_row_for_each_curve() -> None:
    tables = [table.markdown(ROWS).splitlines()[4:] for table in TABLES["scale"]]
    assert [len(lines) for lines in tables] == [2, 2, 1, 1]
    assert tables[0][1].endswith("| 0.50 ± 0.00 |")
    assert "1e-06 MB … 0.000256 MB" in tables[1][1]


def test_stretches_of_a_stream_leave_out_its_first_experiences() -> None:
    costs = scale.binned({number: 2.0 * number for number in range(1, 201)})
    assert list(costs) == sorted(costs)
    assert [cost for part in costs.values() for cost in part] == [2.0 * number for number in range(5, 201)]


def test_a_stream_is_timed_part_by_part() -> None:
    torch.manual_seed(0)
    learner = ProtoNet(MLP(n_inputs=16, hidden=[8], n_outputs=4))
    data = scale.stream(3, evaluate_every=2)
    clock = scale.learn(learner, data, Replay(budget=Budget(examples=60)), Settings())
    assert [set(parts) for parts in clock.seconds] == [set(PARTS.values())] * 3
    assert len(clock.steps) == data.steps_per_experience
    assert len(clock.bytes) == 3


def test_a_process_of_its_own_is_timed() -> None:
    (row,) = scale.measure(Settings(quick=True, only=("ranks: 1 process",)), lambda what: None)
    assert row["points"][0][1] > 0


def test_only_the_rows_that_are_asked_for_are_measured() -> None:
    told: list[str] = []
    rows = list(scale.measure(Settings(quick=True, only=("ProtoNet, MLP: ways",)), told.append))
    assert told == ["ProtoNet, MLP: ways"]
    assert [(row["group"], row["size"]) for row in rows] == [("step", "ways")]
    assert all(median > 0 for _, median, _, _ in rows[0]["points"])
