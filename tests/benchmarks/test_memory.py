from __future__ import annotations

from typing import Any

import pytest
import torch
from rich.console import Console

from benchmarks.performance import memory
from benchmarks.performance.memory import Case, peak, plot, tables, training_step
from lifelong.networks import Conv4

ROWS: list[dict[str, Any]] = [
    {"name": name, "n_tasks": n_tasks, "n_steps": n_steps, "n_filters": 4, "peak": mb * n_tasks, "seconds": 0.5 * mb}
    for n_tasks, n_steps in ((1, 1), (2, 1), (2, 2))
    for name, mb in (("recompute nothing", 2.0), ("recompute tasks", 4.0))
]
MISSING = {"name": "learn2learn, summed", "n_tasks": 4, "n_steps": 5, "n_filters": 4, "note": "it is not installed"}


def test_tables_and_plot_digest_rows() -> None:
    console = Console(record=True, width=160)
    for table in tables([*ROWS, MISSING]):
        console.print(table)
    text = console.export_text()
    assert all(words in text for words in ("MB per task", "MB per inner step", "it is not installed"))
    found = next(line for line in text.splitlines() if "recompute tasks" in line)
    assert [cell.strip() for cell in found.split("│")[2:-1]] == ["4.0 (2.00)", "8.0 (2.00)", "4.0", "2.00"]
    by_tasks, by_steps, trade = plot([*ROWS, MISSING]).axes
    assert [len(axes.lines) for axes in (by_tasks, by_steps)] == [2, 2]
    assert len(trade.collections) == 2


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
