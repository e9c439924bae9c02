"""The sweep of benchmarks/: what is run, what is not run again, and where an interrupted run goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import sweep

SWEEP: dict[str, Any] = {
    "seeds": [0, 1],
    "flags": "--data.evaluate_on test",
    "tables": [
        {"name": "two", "config": "a.yaml", "rows": {"none": "", "rate 0.5": "--model.outer.optimizer.lr 0.5"}},
    ],
}
RESULTS = {
    "finished": True,
    "domains": ["x", "y"],
    "matrix": [[0.9, 0.1], [0.5, 0.7]],
    "metrics": {"average_score": {"value": 0.6, "half_width": 0.01}, "learning_score": None},
    "measures": {},
    "strategy_bytes": {},
    "wall_seconds": 60.0,
}
FAKE = "import json, pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir(parents=True, exist_ok=True); "
FAKE += "(f / 'arguments.json').write_text(json.dumps(sys.argv[2:])); "
WRITES = FAKE + f"(f / 'results.json').write_text('''{json.dumps(RESULTS)}''')"
FAILS = FAKE + "print('error: no such thing'); sys.exit(1)"


def fake(folder: Path, code: str = WRITES) -> sweep.Run:
    return sweep.Run("two", "none", 0, [sys.executable, "-c", code, str(folder)], folder)


def test_every_row_with_every_seed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = list(sweep.plan(SWEEP, tmp_path))
    assert [(r.label, r.seed) for r in runs] == [("none", 0), ("rate 0.5", 0), ("none", 1), ("rate 0.5", 1)]
    assert len({r.folder for r in runs}) == 4
    command = " ".join(runs[3].command)
    for words in ("--config a.yaml", "--data.evaluate_on test", "optimizer.lr 0.5", "--seed_everything 1"):
        assert words in command


def test_a_finished_run_is_read_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    run = fake(tmp_path / "run")
    assert run.results is None
    assert run.start() is None
    assert run.results == RESULTS
    (run.folder / "results.json").write_text(json.dumps(RESULTS | {"finished": False}))
    assert run.results is None


def test_an_interrupted_run_goes_on_and_one_without_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    run = fake(tmp_path / "run")
    run.folder.mkdir()
    (run.folder / "half").touch()
    run.start()
    assert not (run.folder / "half").exists()
    assert json.loads((run.folder / "arguments.json").read_text()) == []
    last = run.folder / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.touch()
    run.start()
    assert json.loads((run.folder / "arguments.json").read_text()) == ["--ckpt_path", str(last)]


def test_a_failure_is_told_and_the_others_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP))
    runs = [fake(tmp_path / "good"), fake(tmp_path / "bad.5", FAILS)]
    monkeypatch.setattr(sweep, "plan", lambda *_: iter(runs))
    monkeypatch.setattr(sys, "argv", ["sweep", "s.yaml", "--jobs", "2"])
    assert sweep.main() == 1
    printed = capsys.readouterr()
    assert "error: no such thing" in printed.err
    assert "bad.5.log" in printed.err
    assert "| none | 60.0 ± 1.0 | n/a | n/a | 50.0 / 70.0 | 0.00 MB | 1.0 | 1 |" in printed.out
    assert Path("runs/s/tables.md").read_text() in printed.out


def test_intervals_over_seeds_are_students() -> None:
    assert sweep.cell([0.5, 0.6, 0.7], [0.0] * 3) == "60.0 ± 24.8"
    assert sweep.cell([0.5] * 20, [0.0] * 20) == "50.0 ± 0.0"
    assert sweep.cell([0.5], [0.01]) == "50.0 ± 1.0"
