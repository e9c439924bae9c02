"""One run of a sweep in a process of its own: finished, failed, held, stopped, of another."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from lifelong.sweep.training import Outcome, Training, train
from tests.sweep.fake_fit import RESULTS
from tests.sweep.runs import training

STOP = Path("stop")


def run_once(run: Training) -> Outcome:
    return train(run, STOP)


def test_a_run_is_read_once_it_has_finished(starts: Path) -> None:
    run = training(Path.cwd() / "run")
    assert run.results is None
    assert run_once(run).state == "finished"
    assert run.results is not None
    assert run.results["matrix"] == RESULTS["matrix"]
    assert run_once(run).state == "finished"
    assert starts.read_text().splitlines() == ["run"]  # not run again
    (run.folder / "results.json").write_text(json.dumps(RESULTS | {"finished": False}))
    assert run.results is None


def test_runs_of_one_table_are_one_group(starts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    for name, group in (("table/a", "table"), ("table/b", "mine")):
        run = training(Path.cwd() / name)
        train(run, run.beside("stop"))
        assert (run.folder / "group").read_text() == group
        monkeypatch.setenv("WANDB_RUN_GROUP", "mine")


def test_a_failure_is_told_with_its_log(starts: Path) -> None:
    log = Path.cwd() / "bad.5.log"
    assert run_once(training(Path.cwd() / "bad.5", "--fails", "1")) == Outcome("failed", "no such thing", log)
    assert run_once(training(Path.cwd() / "bad.5", "--dies", "1")) == Outcome("failed", "ended by SIGKILL", log)


def test_a_failure_is_kept_until_the_run_ends_otherwise(starts: Path) -> None:
    run = training(Path.cwd() / "run")
    assert run.failure is None
    run.keep_failure(Outcome("failed", "no such thing"))
    assert run.failure == "no such thing"
    assert replace(run, identity="other").failure is None
    run.keep_failure(Outcome("finished"))
    assert run.failure is None


def test_a_run_of_another_process_is_left_to_it(starts: Path) -> None:
    run = training(Path.cwd() / "run")
    run.folder.mkdir()
    for path in (run.folder / ".lock", run.beside("lock")):  # of a training, and of a sweep
        with FileLock(path):
            assert run.is_held
            assert run_once(run).state == "held"
    assert not run.is_held
    assert starts.read_text() == ""


def start_late(run: Training) -> tuple[threading.Thread, list[Outcome]]:
    """Start a run, and return while its process has not taken the folder yet."""
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run_once(run)))
    thread.start()
    while not Path("go.awaited").exists():
        time.sleep(0.02)
    return thread, outcomes


def test_a_run_whose_folder_is_taken_meanwhile_is_held(starts: Path) -> None:
    run = training(Path.cwd() / "run", "--after", "go")
    thread, outcomes = start_late(run)
    with FileLock(run.folder / ".lock"):  # what a killed sweep has left behind was slow as well
        Path("go").touch()
        thread.join(30)
    assert [outcome.state for outcome in outcomes] == ["held"]


def test_a_run_that_another_has_finished_meanwhile_is_finished(starts: Path) -> None:
    run = training(Path.cwd() / "run", "--after", "go", "--fails", "1")
    thread, outcomes = start_late(run)
    (run.folder / "results.json").write_text(json.dumps(RESULTS))
    Path("go").touch()
    thread.join(30)
    assert [outcome.state for outcome in outcomes] == ["finished"]


def test_a_stop_file_ends_a_run(starts: Path) -> None:
    run = training(Path.cwd() / "run", "--seconds", "60")
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run_once(run)))
    thread.start()
    while not starts.read_text():
        time.sleep(0.05)
    STOP.touch()
    thread.join(30)
    assert outcomes[0].state == "stopped"
    assert not run.is_held


def test_the_folder_of_another_run_is_neither_read_nor_lost(starts: Path) -> None:
    run = training(Path.cwd() / "run")
    run_once(run)
    other = replace(run, identity="other")
    assert other.results is None
    assert "was made with other flags or another config: remove it" in run_once(other).reason
    assert run.results is not None
