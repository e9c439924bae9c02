"""The suite of peak memory: what a peak counts, and the curves along both axes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.performance import memory
from benchmarks.performance.memory import Case, measure, peak, training_step
from benchmarks.performance.suite import Row, Settings
from benchmarks.performance.tables import AXES, TABLES
from lifelong.networks import Conv4

ROWS: list[Row] = [
    {"name": name, "axis": axis, "sizes": [1, 2], "peak": [mb, 2 * mb], "seconds": [0.5, 1.0], "slope": mb, "time": 1.0}
    for axis in AXES
    for name, mb in (("recompute nothing", 2.0), ("recompute tasks", 4.0))
]


def test_a_table_for_each_axis() -> None:
    by_tasks, by_steps = (table.markdown(ROWS) for table in TABLES["memory"])
    assert "MB per task" in by_tasks
    assert "MB per inner step" in by_steps
    cells = [cell.strip() for cell in by_tasks.splitlines()[-1].split("|")[1:-1]]
    assert cells == ["recompute tasks", "4.0 (0.50)", "8.0 (1.00)", "", "", "4.0", "1.00"]


def test_our_curves_are_measured_along_both_axes() -> None:
    rows = list(measure(Settings(quick=True, only=("recompute nothing",)), lambda what: None))
    assert [(row["axis"], row["sizes"]) for row in rows] == [("tasks", [1, 2]), ("inner steps", [1, 2])]
    assert all(min(row["peak"] + row["seconds"]) > 0 for row in rows)


def test_peaks_tell_what_is_kept() -> None:
    cpu = torch.device("cpu")
    sizes = [("nothing", 1, 1), ("nothing", 4, 1), ("nothing", 1, 8), ("steps", 1, 8)]
    found = {size: peak(training_step(Case(f"recompute {size[0]}", *size[1:], 8), cpu), cpu) for size in sizes}
    assert 0 < found["nothing", 4, 1] < 1.1 * found["nothing", 1, 1]
    assert found["nothing", 1, 8] > 1.5 * found["nothing", 1, 1]
    assert found["steps", 1, 8] < 1.1 * found["nothing", 1, 1]


def test_a_peak_counts_what_is_held_at_the_same_time() -> None:
    def step() -> None:
        first = torch.ones(2**20)
        second = first + 1
        del first
        assert (second * 2).shape == (2**20,)

    assert peak(step, torch.device("cpu")) == pytest.approx(8, abs=0.1)


def test_a_step_leaves_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(memory, "Conv4", lambda **settings: made.append(Conv4(**settings)) or made[0])
    training_step(Case("recompute both", 1, 1, 2), torch.device("cpu"))()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made[0].parameters())
