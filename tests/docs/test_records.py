from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.recorded_sweeps import recorded_sweeps
from docs.generate.records import Record, learner_of, of_method, read_records

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read_records(ROOT)


def test_every_journal_of_a_table_is_read(records: list[Record]) -> None:
    journals = {journal.stem for _, journal in recorded_sweeps(ROOT).values()}
    kept = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.jsonl")}
    searches = {"ewc_strength"}
    assert journals == kept - searches
    assert {record.sweep for record in records} == {
        sweep.relative_to(ROOT) for sweep, _ in recorded_sweeps(ROOT).values()
    }


def test_reproduced_stands_beside_reported(records: list[Record]) -> None:
    [row] = [r for r in of_method(records, "Replay", is_learner=False) if r.stream == "split mnist, class"]
    assert row.row.published == "88.79"
    assert 87 < row.score.value < 91
    assert len(row.row.seeds) == 5
    assert row.learner == "Classifier"
    assert row.n_bytes("Replay") > 0
    assert row.minutes > 0


def test_learners_are_told_of_by_rows_without_strategies(records: list[Record]) -> None:
    rows = of_method(records, "Classifier", is_learner=True)
    assert rows
    assert all(not row.strategies for row in rows)
    assert {row.learner for row in rows} == {"Classifier"}
    assert not of_method(records, "PackNet", is_learner=False)


def test_robots_are_scored_by_what_they_achieved(records: list[Record]) -> None:
    [row] = [r for r in of_method(records, "EWC", is_learner=False) if r.stream == "continual world"]
    assert row.score_name == "success"


def test_learner_is_read_from_options_then_configs(tmp_path: Path) -> None:
    config, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    config.write_text("model: {class_path: lifelong.learners.R2D2}\n")
    other.write_text("data: {}\n")
    options = ["--config", str(config), "--config", str(other)]
    assert learner_of(options) == "R2D2"
    assert learner_of([*options, "--model", "MAML", "--model.inner_rate", "1"]) == "MAML"
    with pytest.raises(ValueError, match="no learner is named by"):
        learner_of(["--config", str(other)])
