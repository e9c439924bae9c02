"""The tables of a sweep, as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lifelong.sweep.result_tables import over_seeds
from lifelong.sweep.table import ended, plan
from lifelong.sweep.tables import cell, markdown
from lifelong.sweep.training import Outcome
from tests.sweep.runs import CROSSED, SWEEP, finish


def test_a_crossed_table_has_ours_and_the_published_cells(tmp_path: Path) -> None:
    runs = list(plan(CROSSED, tmp_path))
    assert markdown(CROSSED, ended(runs)) == ""
    for run, average in zip((runs[0], runs[5], runs[4]), (0.80, 0.86, 0.9), strict=True):
        finish(run, average)
    text = markdown(CROSSED, ended(runs))
    assert "`a.yaml`; mean ± standard error over seeds" in text
    assert "| run | task | class | memory | minutes | runs |" in text
    assert "| none | 83.00 ± 3.00 (84.32 ± .99) | (19.9) | 0.00 MB | 1.0 | 2 of 4 |" in text
    assert "| DER++ | – | 90.00 (92.5) | 0.00 MB | 1.0 | 1 of 2 |" in text
    assert "| DER |" not in text


def test_a_run_that_diverged_spoils_its_cells_alone(tmp_path: Path) -> None:
    runs = list(plan(SWEEP, tmp_path))
    finish(runs[0], None, matrix=[[0.9, 0.1], [None, 0.7]])
    finish(runs[1], 0.6)
    lines = markdown(SWEEP, ended(runs)).splitlines()
    assert "| none | n/a | n/a | n/a | nan / 70.0 | 0.00 MB | 1.0 | 1 |" in lines
    assert any(line.startswith("| rate 0.5 | 60.0 ± 1.0 |") for line in lines)


def test_published_values_stand_beside_the_label(tmp_path: Path) -> None:
    sweep = SWEEP | {"tables": [SWEEP["tables"][0] | {"published": {"none": "61 ± 2"}}]}
    runs = list(plan(sweep, tmp_path))
    for run in runs[:2]:
        finish(run, 0.6)
    text = markdown(sweep, ended(runs))
    assert "| run | published | average |" in text
    assert "| none | 61 ± 2 | 60.0 ± 1.0 |" in text
    assert "| rate 0.5 |  | 60.0 ± 1.0 |" in text


def test_a_table_may_be_judged_by_what_robots_did(tmp_path: Path) -> None:
    by_robots = SWEEP | {"tables": [SWEEP["tables"][0] | {"judged_by": "closed loop"}]}
    runs = list(plan(by_robots, tmp_path))
    finish(runs[0], 0.6)
    with pytest.raises(ValueError, match=r"none drove: give its config lifelong\.control\.ClosedLoop"):
        markdown(by_robots, ended(runs))
    driven: dict[str, Any] = {"score": "success", "matrix": [[None, None], [0.25, 0.75]], "domains": ["x", "y"]}
    driven["matrix_half_width"] = [[None, None], [0.01, 0.02]]
    driven["metrics"] = {"average_score": {"value": 0.5, "half_width": 0.1}}
    driven["support_curve"] = {"mean": [[0.9, 0.4], [0.8, 0.2]]}
    driven["without_adaptation"] = {"success": {"mean": [0.1, 0.3]}}
    folder = runs[0].training.folder
    (folder / "closed_loop.json").write_text(json.dumps(driven))
    (folder / "closed_loop_test.json").write_text(json.dumps(driven | {"metrics": {}}))  # of a later `test`
    text = markdown(by_robots, ended(runs))
    assert "| squared error / variance | success without adaptation |" in text
    assert "| none | 50.0 ± 10.0 | n/a | n/a | 30.0 | 20.0 | 25.0 / 75.0 |" in text
    assert "| none | 60.0 ± 1.0 | n/a | n/a | 50.0 / 70.0 |" in markdown(SWEEP, ended(runs))


def test_why_a_run_has_failed_stands_below_its_table(tmp_path: Path) -> None:
    runs = list(plan(SWEEP, tmp_path))
    for run in (runs[1], runs[3]):
        run.training.keep_failure(Outcome("failed", "no such thing"))
    below = "failed:\n\n- rate 0.5, seeds 0, 1: no such thing\n"
    assert markdown(SWEEP, ended(runs)) == f"## two\n\n{below}"
    finish(runs[0], 0.6)
    assert markdown(SWEEP, ended(runs)).endswith(f"| 1 |\n\n{below}")
    finish(runs[1], 0.6)  # by another sweep
    assert "- rate 0.5, seed 1: no such thing" in markdown(SWEEP, ended(runs))


def test_a_published_value_without_a_run_is_kept(tmp_path: Path) -> None:
    quoted = {"DER++": {"task": 97.4, "class": 92.5}}
    runs = list(plan(CROSSED, tmp_path))
    finish(runs[4], 0.9)
    text = markdown(CROSSED | {"tables": [CROSSED["tables"][0] | {"published": quoted}]}, ended(runs))
    assert "| DER++ | – (97.4) | 90.00 (92.5) | 0.00 MB | 1.0 | 1 of 2 |" in text


def test_cells_are_in_percent() -> None:
    assert cell(over_seeds([0.5, 0.6, 0.7], [0.0] * 3)) == "60.0 ± 24.8"
    assert cell(over_seeds([0.5, 0.6, 0.7, 0.8], [0.0] * 4, "sem"), "sem") == "65.00 ± 6.45"
    assert cell(over_seeds([0.5], [0.01], "sem"), "sem") == "50.00"
    assert cell(over_seeds([0.5, None], [0.01, None])) == "n/a"
