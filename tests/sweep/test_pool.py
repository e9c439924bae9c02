"""Trainings under way: what another holds is come back to, and nothing is left running."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from lifelong.sweep.pool import Pool
from tests.sweep.runs import training


def test_what_another_holds_is_come_back_to(starts: Path) -> None:
    free, held, done = (training(Path.cwd() / name) for name in ("free", "held", "done"))
    for run in (held, done):
        run.folder.mkdir()
    locks = [FileLock(run.folder / ".lock") for run in (held, done)]
    for lock in locks:
        lock.acquire()
    with Pool(ThreadPoolExecutor(1)) as pool:
        pool.start([held, done, free])
        assert [(run.name, outcome.state) for run, outcome in pool.wait()] == [("free", "finished")]
        assert len(pool) == 2
        (done.folder / "results.json").write_text('{"finished": true}')  # by the other process
        assert [(run.name, outcome.state) for run, outcome in pool.wait()] == [("done", "finished")]
        locks[0].release()  # it has died
        assert [(run.name, outcome.state) for run, outcome in pool.wait()] == [("held", "finished")]
        assert pool.wait() == []
    assert starts.read_text().split() == ["free", "held"]


def test_leaving_stops_what_runs_and_begins_nothing_more(starts: Path) -> None:
    runs = [training(Path.cwd() / name, "--seconds", "60") for name in "abc"]
    with Pool(ThreadPoolExecutor(1)) as pool:
        pool.start(runs)
        while not starts.read_text():
            time.sleep(0.05)
    assert starts.read_text().split() == ["a"]
    assert not any(run.is_held for run in runs)
    assert not list(Path.cwd().glob("*.stop*"))


def test_leaving_stops_no_run_of_another_sweep(starts: Path) -> None:
    shared, busy = training(Path.cwd() / "shared", "--seconds", "1"), training(Path.cwd() / "busy", "--seconds", "60")
    with Pool(ThreadPoolExecutor(1)) as one:
        one.start([shared])
        while not starts.read_text():
            time.sleep(0.05)
        with Pool(ThreadPoolExecutor(1)) as other:
            other.start([busy, shared])  # the second one waits for its turn
            while "busy" not in starts.read_text():
                time.sleep(0.05)
        assert [outcome.state for _, outcome in one.wait()] == ["finished"]


def test_what_an_executor_raises_is_a_failure_of_the_run(starts: Path) -> None:
    def lose(*_: object) -> None:
        raise OSError("first line\nthe node is gone")

    class Losing(ThreadPoolExecutor):
        def submit(self, function, /, *args):  # type: ignore[no-untyped-def]
            return super().submit(lose)

    with Pool(Losing(1)) as pool:
        pool.start([training(Path.cwd() / "run")])
        ((_, outcome),) = pool.wait()
    assert outcome.state == "failed"
    assert outcome.reason == "the node is gone"
    assert training(Path.cwd() / "run").failure == "the node is gone"
    assert sorted(os.listdir()) == ["a.yaml", "run.failed", "starts.txt"]
