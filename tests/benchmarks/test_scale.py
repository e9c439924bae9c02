"""The suite of how cost grows: exponents of known power laws, and tables and plots of made-up measurements."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console

from benchmarks.performance import scale
from benchmarks.performance.suite import Settings, spread
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from strategies import Replay

SIZES = (1, 4, 16, 64, 256)


def curve(group: str, size: str, power: float, unit: str = "seconds") -> dict[str, Any]:
    points = [{"size": n} | spread([0.9 * n**power, n**power, 1.1 * n**power]) for n in SIZES]
    return scale._curve(group, "MAML", size, size, unit, points)


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
    found = scale.exponent(SIZES, [3 * n**power for n in SIZES])
    assert found["exponent"] == pytest.approx(power)
    assert found["half_width"] == pytest.approx(0, abs=1e-6)


def test_noise_widens_the_interval_and_two_points_have_none() -> None:
    noisy = scale.exponent(SIZES, [n * (1.2 if i % 2 else 0.8) for i, n in enumerate(SIZES)])
    assert abs(noisy["exponent"] - 1) < noisy["half_width"] < 1
    assert math.isnan(scale.exponent((1, 2), (1, 4))["half_width"])


def test_a_curve_without_a_slope_says_so() -> None:
    row = scale._curve("stream", "EWC", "end", "experience", "seconds", [{"size": 1} | spread([0.1])])
    assert "exponent" not in row
    assert any("n/a" in str(cell) for table in scale.tables([row]) for c in table.columns for cell in c.cells)


def test_a_table_for_each_group_and_a_row_for_each_curve() -> None:
    tables = scale.tables(ROWS)
    assert [len(table.rows) for table in tables] == [2, 2, 1, 1]
    console = Console(width=200, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    printed = console.export_text()
    assert "0.50 ± 0.00" in printed
    assert "1e-06 MB … 0.000256 MB" in printed


def test_the_plot_has_logarithmic_axes_with_labels_and_every_curve() -> None:
    figure = scale.plot(ROWS)
    FigureCanvasAgg(figure).draw()
    assert sum(len(axes.lines) for axes in figure.axes) == len(ROWS)
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel()
        assert axes.get_ylabel().split()[0] in ("seconds", "bytes")
        assert all(", exponent " in text.get_text() for text in axes.get_legend().get_texts())


def test_parts_are_told_apart_by_whether_all_domains_were_evaluated() -> None:
    in_between, whole = scale._by_kind([{"evaluation": float(i)} for i in range(1, 26)], every=10)
    assert list(whole) == [10, 20, 25]
    assert len(in_between) == 22
    assert scale._points(whole, "evaluation")[0] == {"size": 10, "median": 10.0, "low": 10.0, "high": 10.0}


def test_stretches_of_the_stream_have_all_its_experiences_but_the_first() -> None:
    points = scale._binned({number: {"end": 2.0 * number} for number in range(1, 201)}, "end")
    assert points[0]["low"] == 10.0
    assert points[-1]["high"] == 400.0
    assert [p["size"] for p in points] == sorted(p["size"] for p in points)


def test_a_stream_is_timed_part_by_part(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learner = ProtoNet(MLP(n_inputs=16, hidden=[8], n_outputs=4))
    data = scale.stream(3, evaluate_every=2)
    noted = scale.learn(learner, data, [Replay(budget_examples=60)], tmp_path, torch.device("cpu"))
    assert [set(parts) for parts in noted.seconds] == [set(scale.PARTS)] * 3
    assert len(noted.steps) == data.steps_per_experience
    assert len(noted.bytes) == 3
    assert (tmp_path / "accuracy_matrix.png").exists()


def test_only_measures_what_is_asked_for() -> None:
    settings = Settings(quick=True, only=("ProtoNet, MLP: ways",))
    told: list[str] = []
    rows = list(scale.measure(settings, told.append))
    assert told == ["ProtoNet, MLP: ways"]
    assert [(row["group"], row["size"]) for row in rows] == [("step", "ways")]
    assert all(point["median"] > 0 for point in rows[0]["points"])
