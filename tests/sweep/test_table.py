"""What a table runs: rows, columns and seeds, what decides a run, and names that stand for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.sweep.table import check, check_configs, plan
from tests.sweep.runs import CROSSED, SWEEP

TABLE = SWEEP["tables"][0]


def test_every_row_with_every_seed_in_a_folder_of_its_own(tmp_path: Path) -> None:
    runs = list(plan(SWEEP, tmp_path))
    assert [(r.label, r.seed) for r in runs] == [("none", 0), ("rate 0.5", 0), ("none", 1), ("rate 0.5", 1)]
    assert len({r.training.folder for r in runs}) == 4
    command = " ".join(runs[3].training.command)
    for words in ("fit --config a.yaml", "--data.evaluate_on test", "optimizer.lr 0.5", "--seed 1"):
        assert words in command


def test_rows_are_crossed_with_columns(tmp_path: Path) -> None:
    runs = list(plan(CROSSED, tmp_path))
    cells = [("none", "task"), ("none", "class"), ("DER", "task"), ("DER", "class"), ("DER++", "class")]
    assert [(r.label, r.column) for r in runs] == cells * 2
    assert [r.training.folder.name for r in runs[3:5]] == ["DER-class-3", "DER++-class-3"]
    command = " ".join(runs[-1].training.command)
    assert "--order 4 --scenario class --classes all --beta 1 --seed 4" in command
    assert "alpha" not in command


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": {"none": {"domain": ""}}}, "no column domain, only task, class"),
        ({"published": {"none": {"domain": 1}}}, "no column domain, only task, class"),
        ({"published": {"nine": {"task": 1}}}, "no published row nine, only none, DER, "),
        ({"published": {"none": 84}}, "the published row none of crossed has no columns: give it values by column"),
        ({"spread": "range"}, "no spread range, only interval, sem"),
        ({"colums": {}}, r"a table has no key colums: did you mean columns\?"),
        ({"rows": {}}, "the table crossed has no rows: give it flags by label"),
        ({"judged_by": "a jury"}, "no judge a jury, only score, closed loop"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused(change: dict[str, Any], message: str) -> None:
    check(CROSSED)
    with pytest.raises(ValueError, match=message):
        check(CROSSED | {"tables": [CROSSED["tables"][0] | change]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": [1]}, r"the sweep has no key seed: did you mean seeds\?"),
        ({"seeds": 3}, r"the sweep's seeds are 3: give a list of whole numbers, such as \[0, 1, 2\]"),
        ({"seeds": [0.5]}, r"the sweep's seeds are \[0.5\]"),
        ({"seeds": [0, 0]}, r"the sweep's seeds are \[0, 0\]: give each once"),
        ({"tables": {}}, "the sweep's tables are no list"),
    ],
)
def test_a_sweep_with_wrong_keys_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(SWEEP | change)
    with pytest.raises(ValueError, match="the sweep has no seeds: give it seeds, tables"):
        check({"tables": SWEEP["tables"]})


def test_a_config_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"there is no config a\.yaml"):
        check_configs(SWEEP)


def test_settings_decide_a_run_and_its_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plans = []
    for place, text in (("here", "x: 1"), ("there", "# a comment\nx:  1"), ("there", "x: 2")):
        Path("a.yaml").write_text(text)
        plans.append([run.training.identity for run in plan(SWEEP, tmp_path / place)])
    assert plans[0] == plans[1]
    assert len({*plans[0], *plans[2]}) == 8
    assert plans[0][1] == "--config a.yaml --data.evaluate_on test --optimizer.lr 0.5 --seed 0 (config 613fe5aa)"


def test_a_shipped_config_decides_by_what_it_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (run, *_) = plan(SWEEP | {"tables": [TABLE | {"config": "split_mnist"}]}, tmp_path)
    assert run.training.identity.startswith("--config split_mnist ")
    assert "e3b0c442" not in run.training.identity  # the hash of nothing


def test_a_row_may_keep_what_sweeps_do_not(tmp_path: Path) -> None:
    rows = {"kept": "--checkpoint.keep_experiences 9"}
    (run,) = plan({"seeds": [0], "tables": [TABLE | {"rows": rows}]}, tmp_path)
    words = run.training.command
    kept = [words[i + 1] for i, word in enumerate(words) if word == "--checkpoint.keep_experiences"]
    assert kept == ["0", "9"]  # the last word on it
