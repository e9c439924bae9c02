"""What is missing of a table is run; the time left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lifelong.sweep.running import run_missing, time_left
from lifelong.sweep.table import plan
from tests.sweep.runs import SWEEP, finish, planned


def test_what_is_missing_is_run_and_failures_are_returned(starts: Path) -> None:
    runs = [planned(Path.cwd() / "good"), planned(Path.cwd() / "bad", "--fails", "1"), planned(Path.cwd() / "done")]
    finish(runs[2], 0.5)
    changes: list[int] = []
    failures = run_missing(runs, ThreadPoolExecutor(1), 1, lambda: changes.append(len(starts.read_text().split())))
    assert starts.read_text().split() == ["good", "bad"]
    assert len(changes) == 2
    assert changes[-1] == 2  # the second may begin before the change of the first is told
    assert [failure.split(" (")[0] for failure in failures] == ["bad: error: no such thing"]


def test_the_time_left_is_that_of_runs_like_those_that_wait(tmp_path: Path) -> None:
    runs = list(plan(SWEEP, tmp_path))
    assert time_left(runs, runs, jobs=1) == "time left unknown yet"
    finish(runs[0], 0.5, wall_seconds=60.0)
    assert time_left(runs, runs[1:], jobs=1) == "about 3:00 left"
    finish(runs[1], 0.5, wall_seconds=180.0)
    assert time_left(runs, runs[2:], jobs=2) == "about 2:00 left"
    assert time_left(runs, runs[3:], jobs=2) == "about 3:00 left"
    assert time_left(runs, [], jobs=2) == "about 0:00 left"
