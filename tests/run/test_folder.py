"""A run folder belongs to one run, and to one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifelong.run.folder import launched_folder, locked
from lifelong.run.options import RunOptions
from tests.processes import ROOT

OPTIONS = RunOptions(root="runs", name="a")


def start(content: dict[str, str], options: RunOptions = OPTIONS) -> Path:
    """Fill the folder, start a run in it and return its path."""
    for name, text in content.items():
        file = Path("runs/a") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with launched_folder(options, None, trains=True) as folder:
        return folder.path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("resume", ["never", "auto"])
def test_a_run_that_failed_before_a_checkpoint_frees_its_name(resume: str) -> None:
    folder = start({"config.yaml": "seed: 1", "metrics.csv": "step", "checkpoints/.last.ckpt.part": ""})
    (folder / "config.yaml").write_text("seed: 2")
    folder = start({}, RunOptions(root="runs", name="a", resume=resume))  # type: ignore[arg-type]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "checkpoints", "failed"]
    assert not list((folder / "checkpoints").iterdir())
    kept = sorted(path.read_text() for path in folder.glob("failed/*/config.yaml"))
    assert kept == ["seed: 1", "seed: 2"]  # nothing is lost


def test_a_run_is_left_alone() -> None:
    start({"config.yaml": "", "checkpoints/last.ckpt": "x"}, RunOptions(root="runs", name="a", resume="auto"))
    with pytest.raises(ValueError, match=r"in use: choose another --run.name, or go on with --ckpt_path runs/a/check"):
        start({})
    assert not Path("runs/a/failed").exists()


@pytest.mark.parametrize("resume", ["never", "auto"])
def test_files_that_no_run_has_written_are_left_alone(resume: str) -> None:
    with pytest.raises(ValueError, match=r"in use by files that no run has written: choose another --run.name"):
        start({"thesis.txt": "mine"}, RunOptions(root="runs", name="a", resume=resume))  # type: ignore[arg-type]
    assert [path.name for path in Path("runs/a").iterdir()] == ["thesis.txt"]


def hold(folder: Path, deed: str) -> subprocess.CompletedProcess[str]:
    """Hold the folder in another process and do something there."""
    script = f"import os, pathlib, sys, lifelong.run.folder as f\nwith f.locked(pathlib.Path(sys.argv[1])): {deed}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_two_processes_do_not_train_in_one_folder() -> None:
    folder = start({})
    with locked(folder):
        done = hold(folder, "pass")
    assert done.returncode == 1
    assert "another process trains in the run folder runs/a" in done.stderr
    assert hold(folder, "pass").returncode == 0


def test_a_killed_process_leaves_the_folder_open() -> None:
    folder = start({})
    assert hold(folder, "os.kill(os.getpid(), 9)").returncode == -9
    with locked(folder):
        assert (folder / ".lock").exists()


def test_other_processes_of_a_launch_leave_the_lock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = start({})
    with locked(folder):
        with pytest.raises(ValueError, match="another process trains"):
            start({})
        monkeypatch.setattr("lifelong.run.folder.decided_by_first", lambda decide: str(folder))  # as another rank
        assert start({"metrics.csv": "of the first"}) == folder
    assert (folder / "metrics.csv").exists()


def test_a_run_that_is_refused_before_it_begins_leaves_no_folder() -> None:
    with pytest.raises(ValueError, match="no data"), launched_folder(OPTIONS, None, trains=True):
        raise ValueError("no data")
    assert not Path("runs/a").exists()


def test_an_evaluation_takes_a_folder_without_a_run() -> None:
    for _ in range(2):
        with launched_folder(RunOptions(root="runs", name="b", resume="auto"), None) as folder:
            (folder.path / "test.json").write_text("{}")
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == ["test.json"]
