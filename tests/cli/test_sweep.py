"""``python -m lifelong sweep``: what it prints, its exit codes, and that nothing is lost or left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifelong.utilities.locks import is_held
from tests.command_line import error_of, run_here, start_apart
from tests.sweep.conftest import starts  # noqa: F401  (a fixture)
from tests.sweep.runs import SWEEP
from tests.sweep.tiny import write_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(starts: Path) -> Path:  # noqa: F811
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP))
    return starts


def test_what_is_missing_is_run_and_the_table_is_printed(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_here("sweep", "s.yaml", "--journal", "results/s.jsonl", "--jobs", "1")
    text = capsys.readouterr().out
    assert "| rate 0.5 | 83.0 ± 0.0 | n/a | n/a | 50.0 / 70.0 | 0.00 MB | 1.0 | 2 |" in text
    assert Path("runs/s/tables.md").read_text() in text
    assert len(Path("results/s.jsonl").read_text().splitlines()) == 4
    run_here("sweep", "s.yaml", "--journal", "results/s.jsonl", "--root", "elsewhere")
    assert Path("runs/s/tables.md").read_text() in capsys.readouterr().out
    assert len(table.read_text().split()) == 4  # nothing is run again


def test_runs_that_finished_without_a_journal_are_added(table: Path) -> None:
    run_here("sweep", "s.yaml")
    for _ in range(2):
        run_here("sweep", "s.yaml", "--journal", "s.jsonl", "--table_only")
        assert len(Path("s.jsonl").read_text().splitlines()) == 4


def test_a_failure_is_told_and_the_others_are_run(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"bad": "--fails 1", "none": ""}
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP | {"tables": [SWEEP["tables"][0] | {"rows": rows}]}))
    with pytest.raises(SystemExit) as ended:
        run_here("sweep", "s.yaml", "--executor", "{class_path: local}")
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert "failed: two, bad, seed 1: no such thing (" in printed.err
    assert "| none | 100.0 ± 0.0 |" in printed.out
    assert "failed:\n\n- bad, seeds 0, 1: no such thing\n" in printed.out
    assert Path("runs/s/tables.md").read_text() in printed.out
    run_here("sweep", "s.yaml", "--table_only")
    assert "- bad, seeds 0, 1: no such thing" in capsys.readouterr().out


def test_an_option_that_is_none_is_refused_before_any_run(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"none": "", "bad": "--optimizer.lr high"}
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP | {"tables": [SWEEP["tables"][0] | {"rows": rows}]}))
    code, error = error_of(capsys, "sweep", "s.yaml")
    assert (code, table.read_text()) == (1, "")
    assert error == "error: two, bad, seed 1 cannot be run: --optimizer.lr is high: it must be a number\n"
    run_here("sweep", "s.yaml", "--table_only")  # runs nothing, so that nothing is to be refused


@pytest.mark.parametrize(
    ("args", "journal", "message"),
    [
        ([], "", "sweep needs a file with tables or a search, and none is named: python -m lifelong sweep"),
        (["absent.yaml"], "", "there is no sweep absent.yaml: give the path of a YAML file with tables, or with a"),
        (["s.yaml", "--jobz", "2"], "", "there is no option --jobz: did you mean --jobs?"),
        (["s.yaml", "--jobs", "0"], "", "--jobs is 0"),
        (["s.yaml", "--executor", "slrum"], "", "there is no executor slrum"),
        (["s.yaml"], "not json", "j.jsonl, line 1 is no record of a run: remove the line"),
    ],
)
def test_a_mistake_is_one_sentence(
    args: list[str], journal: str, message: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("j.jsonl").write_text(journal)
    _, error = error_of(capsys, "sweep", *args, *(["--journal", "j.jsonl"] if journal else []))
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert table.read_text() == ""


def start_sweep(starts_file: Path, *flags: str) -> subprocess.Popen[str]:
    """A sweep of fake runs in a process of its own."""
    rows = {"one": f"--seconds 60 {' '.join(flags)}"}
    sweep = SWEEP | {"seeds": [0], "tables": [SWEEP["tables"][0] | {"rows": rows}]}
    Path("s.yaml").write_text(yaml.safe_dump(sweep))
    fake = [sys.executable, str(ROOT / "tests" / "sweep" / "fake_fit.py")]
    code = f"from lifelong.sweep import training; training.PROGRAM = {fake!r};"
    code += "from lifelong.cli import sweep; sweep.check_fit_options = lambda options: None;"
    code += "from lifelong.cli.main import main; main(['sweep', 's.yaml'])"
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not starts_file.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_interrupted_leaves_nothing_running(number: signal.Signals, table: Path) -> None:
    process = start_sweep(table)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in error
    assert not is_held(Path("runs/s/two/one-0/.lock"))


@pytest.mark.slow
def test_what_was_killed_goes_on_from_its_last_experience(tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", steps_per_experience=150)
    table = {"name": "t", "config": str(config), "rows": {"none": "--strategies []"}}
    (tmp_path / "s.yaml").write_text(json.dumps({"seeds": [0, 1], "tables": [table]}))
    first = start_apart("sweep", "s.yaml", "--jobs", "1", cwd=tmp_path)
    log = tmp_path / "runs" / "s" / "t" / "none-1.log"
    while not (log.is_file() and "experience 2/3" in log.read_text()):  # the first run has finished
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    (child,) = Path(f"/proc/{first.pid}/task/{_waiting_task(first.pid)}/children").read_text().split()
    first.kill()
    os.kill(int(child), signal.SIGKILL)
    first.communicate()
    began = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "s" / "t").glob("none-0/results.json")}
    second = start_apart("sweep", "s.yaml", "--jobs", "1", cwd=tmp_path)
    out, error = second.communicate(timeout=300)
    assert second.returncode == 0, error
    assert "| 2 |" in out
    assert all(path.stat().st_mtime_ns == written for path, written in began.items())
    assert [log.read_text().count(f"experience {n}/3") for n in (1, 3)] == [1, 1]


def _waiting_task(pid: int) -> str:
    """The thread of a process that has a child."""
    return next(task.name for task in Path(f"/proc/{pid}/task").iterdir() if (task / "children").read_text())
