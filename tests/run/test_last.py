"""``last`` is the same run for every command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lifelong.cli.extend import find_run
from lifelong.run.compare import compare
from lifelong.run.last import last_checkpoint, last_run
from lifelong.run.load import load
from lifelong.utilities.checkpoint_file import write_checkpoint
from tests.command_line import error_of

MARKS = ("checkpoints/last.ckpt", "results.json")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, *, root: str = "runs", **times: int) -> Path:
    """A run folder whose checkpoint and results are of some time."""
    folder = Path(root, name)
    for mark in MARKS:
        if (time := times.get(mark.partition(".")[0].rpartition("/")[2])) is not None:
            (folder / mark).parent.mkdir(parents=True, exist_ok=True)
            if mark == MARKS[0]:
                write_checkpoint({"state_dict": {"a": torch.zeros(1)}}, folder / mark)
            else:
                (folder / mark).touch()
            os.utime(folder / mark, (time, time))
    return folder


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"last": 1, "results": 3}, {"last": 4, "results": 2}),  # a run that has gone on since its last results
        ({"last": 3, "results": 1}, {"results": 4}),
        ({"last": 1, "results": 3}, {"last": 4}),
    ],
)
def test_it_is_the_run_that_was_written_to_last(old: dict[str, int], new: dict[str, int]) -> None:
    run("b", **old)
    assert run("a", **new) == last_run()


def test_every_command_takes_the_same_run(capsys: pytest.CaptureFixture[str]) -> None:
    run("finished", last=1, results=3)
    folder = run("begun", last=4)
    (folder / "config.yaml").touch()
    assert find_run(["last"]) == folder
    assert last_checkpoint() == str(folder / MARKS[0])
    assert f"there is no {folder / 'results.json'}" in error_of(capsys, "report", "last")[1]
    with pytest.raises(ValueError, match="there is none"):  # one without results is left out
        compare(["last"])
    with pytest.raises(ValueError, match="begun"):
        load("last")


def test_a_root_and_a_name_narrow_it_down() -> None:
    folder = run("a", root="elsewhere", last=1)
    run("b", root="elsewhere", last=2)
    assert last_run("elsewhere", "a") == folder
    assert last_checkpoint("elsewhere", "a") == str(folder / MARKS[0])


def test_what_is_not_there_is_one_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"^last found no runs/\* with a checkpoint or results: name the path of a run$"
    ):
        last_run()
    run("a", results=1)
    with pytest.raises(ValueError, match=r"^last is runs/a, which has no whole checkpoint"):
        last_checkpoint()
    with pytest.raises(ValueError, match="s3://bucket is elsewhere"):
        last_run("s3://bucket")
