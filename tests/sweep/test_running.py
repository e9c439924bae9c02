"""What is missing of a table is run; the time left."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifelong.sweep.running import run_missing, time_left
from lifelong.sweep.sweep import read_sweep, run_sweep
from lifelong.sweep.table import ended, plan
from tests.sweep.runs import SWEEP, finish, planned


def test_what_is_missing_is_run_and_failures_are_returned(starts: Path) -> None:
    runs = [planned(Path.cwd() / "good"), planned(Path.cwd() / "bad", "--fails", "1"), planned(Path.cwd() / "done")]
    finish(runs[2], 0.5)
    changes: list[int] = []
    so_far = ended(runs)
    failures = run_missing(
        runs, so_far, ThreadPoolExecutor(1), 1, lambda: changes.append(len(starts.read_text().split()))
    )
    assert starts.read_text().split() == ["good", "bad"]
    assert len(changes) == 2
    assert changes[-1] == 2  # the second may begin before the change of the first is told
    assert failures == [f"bad: no such thing ({Path.cwd() / 'bad.log'})"]
    assert (set(so_far.finished), so_far.failed) == ({runs[0], runs[2]}, {runs[1]: "no such thing"})


def test_results_are_read_a_fixed_number_of_times(starts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[Path] = Counter()
    read_text = Path.read_text

    def counted(path: Path, *args: Any, **options: Any) -> str:
        reads[path] += path.name == "results.json"
        return read_text(path, *args, **options)

    Path("s.yaml").write_text(yaml.safe_dump(SWEEP | {"seeds": [0, 1, 2, 3]}))
    monkeypatch.setattr(Path, "read_text", counted)
    assert run_sweep(read_sweep(Path("s.yaml")), Path("runs"), jobs=1) == []
    counts = [count for path, count in reads.items() if path.name == "results.json"]
    assert len(counts) == 8
    assert max(counts) <= 3  # once it has finished, and for the last table; not after each other run


def test_the_time_left_where_the_executor_decides() -> None:
    runs = list(plan(SWEEP, Path("runs")))
    results = {runs[0]: {"wall_seconds": 60.0}, runs[1]: {"wall_seconds": 180.0}}
    assert time_left(results, runs[2:], None) == "at least 3:00 left"
    assert time_left(results, [], None) == "at least 0:00 left"


def test_the_time_left_is_that_of_runs_like_those_that_wait(tmp_path: Path) -> None:
    runs = list(plan(SWEEP, tmp_path))
    assert time_left({}, runs, jobs=1) == "time left unknown yet"
    finished = {runs[0]: {"wall_seconds": 60.0}}
    assert time_left(finished, runs[1:], jobs=1) == "about 3:00 left"
    finished[runs[1]] = {"wall_seconds": 180.0}
    assert time_left(finished, runs[2:], jobs=2) == "about 2:00 left"
    assert time_left(finished, runs[3:], jobs=2) == "about 3:00 left"
    assert time_left(finished, [], jobs=2) == "about 0:00 left"
