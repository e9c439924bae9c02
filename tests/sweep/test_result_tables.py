"""The tables of a sweep as numbers, from its file and a journal alone."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import lifelong
from lifelong.sweep.journal import Journal
from lifelong.sweep.result_tables import over_seeds, read_tables
from lifelong.sweep.table import ended, plan
from lifelong.sweep.tables import markdown, table_markdown
from tests.sweep.runs import CROSSED, SWEEP, finish


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal with one row of a sweep's two, in an empty folder with the sweep's file ``s.yaml``."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("x: 1")
    Path("s.yaml").write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    runs = list(plan(SWEEP, Path("runs"), Journal(Path("j.jsonl"))))
    for run, average in zip((runs[0], runs[2]), (0.5, 0.6), strict=True):
        finish(run, average)
        run.keep()
    return Path("j.jsonl")


def test_rows_have_means_and_half_widths_over_seeds(recorded: Path) -> None:
    (table,) = read_tables("s.yaml", recorded)
    done, missing = table.rows
    assert (table.name, table.config, table.columns, table.spread) == ("two", "a.yaml", (), "interval")
    assert (done.label, done.column, done.seeds, done.n_seeds) == ("none", "", (0, 1), 2)
    score = done.metrics["average_score"]
    assert score.value == pytest.approx(0.55)
    assert score.half_width == pytest.approx(12.7062 * 0.05, abs=1e-4)  # Student's t of one degree of freedom
    assert done.metrics["learning_score"].reason == "it was not measured"
    assert math.isnan(done.metrics["learning_score"].value)
    assert (missing.label, missing.seeds, missing.metrics) == ("rate 0.5", (), {})


def test_each_column_is_a_row_with_its_published_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("x: 1")
    Path("s.yaml").write_text(yaml.safe_dump(CROSSED, sort_keys=False))
    run = next(plan(CROSSED, Path("runs"), Journal(Path("j.jsonl"))))
    finish(run, 0.8)
    run.keep()
    (table,) = read_tables("s.yaml", "j.jsonl")
    rows = [(row.label, row.column, row.published) for row in table.rows]
    assert rows[:3] == [("none", "task", "84.32 ± .99"), ("none", "class", "19.9"), ("DER", "task", "")]
    assert (table.columns, table.score, table.spread) == (("task", "class"), "average_score", "sem")
    assert table.rows[0].metrics["average_score"].value == 0.8
    assert math.isnan(table.rows[0].metrics["average_score"].half_width)  # one seed has no standard error


def test_a_table_reads_as_sweep_prints_it(recorded: Path) -> None:
    runs = list(plan(SWEEP, Path("runs")))
    text = "\n".join(map(table_markdown, lifelong.read_tables("s.yaml", recorded)))
    assert text == markdown(SWEEP, ended(runs))
    assert "| none | 55.0 ± 63.5 |" in text


def test_reading_tables_imports_no_torch(recorded: Path) -> None:
    code = "import lifelong, sys; lifelong.read_tables('s.yaml', 'j.jsonl'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_cannot_be_read_is_refused(recorded: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no journal x\.jsonl: python -m lifelong sweep s\.yaml --journal x"):
        read_tables("s.yaml", "x.jsonl")
    Path("b.yaml").write_text("{config: a.yaml, search: {}}")
    with pytest.raises(ValueError, match=r"b\.yaml has no tables: give the file of a sweep that has"):
        read_tables("b.yaml", recorded)
    Path("a.yaml").write_text("x: 2")  # the runs are others now
    with pytest.raises(ValueError, match=r"the journal j\.jsonl holds no run of s\.yaml, as a run is known by its"):
        read_tables("s.yaml", recorded)
    Path("a.yaml").unlink()
    with pytest.raises(ValueError, match=r"there is no config a\.yaml"):
        read_tables("s.yaml", recorded)


def test_intervals_over_seeds_are_students() -> None:
    three = over_seeds([0.5, 0.6, 0.7], [0.0] * 3)
    assert three.value == pytest.approx(0.6)
    assert three.half_width == pytest.approx(0.2484, abs=1e-4)
    assert over_seeds([0.5] * 20, [0.0] * 20).half_width == 0.0
    assert over_seeds([0.5], [0.01]).half_width == 0.01


def test_standard_errors_are_those_of_the_mean_over_seeds() -> None:
    assert over_seeds([0.5, 0.6, 0.7, 0.8], [0.0] * 4, "sem").half_width == pytest.approx(0.0645, abs=1e-4)
    assert math.isnan(over_seeds([0.5], [0.01], "sem").half_width)


def test_the_guides_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    guide = (root / "docs" / "guides" / "sweeps.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", guide, flags=re.S)
    exec(compile(block, "sweeps.md", "exec"), {})
    assert "split_mnist none task 91.07 ± 2.17 84.32 ± .99" in capsys.readouterr().out.splitlines()
