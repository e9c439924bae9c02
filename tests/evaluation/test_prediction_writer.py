"""Answers of ``predict`` as a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest

from lifelong.evaluation.prediction_writer import PredictionWriter
from tests.toys import make_learner, module_of, toy_data

pytestmark = pytest.mark.filterwarnings("ignore")


def rows_of(folder: Path, kind: str, n_runs: int = 1, **data: Any) -> list[dict[str, str]]:
    writer, module = PredictionWriter(), module_of(make_learner(kind=kind))
    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
    for _ in range(n_runs):
        trainer = L.Trainer(**settings, default_root_dir=folder, callbacks=[writer])
        trainer.predict(module, toy_data(2, kind, **data), return_predictions=False)
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_query_of_every_task_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(tmp_path, "vector", n_eval_tasks=6)  # in batches of 4, the last of which wraps round
    assert len(rows) == 2 * 6 * 6
    assert [row["task"] for row in rows[::6]] == [str(task) for task in range(6)] * 2
    assert {row["domain"] for row in rows} == {"domain 0", "domain 1"}
    for row in rows:
        outputs = [float(row[f"output_{i}"]) for i in range(3)]
        assert sum(outputs) == pytest.approx(1.0, abs=1e-5)
        assert outputs.index(max(outputs)) == int(row["prediction"])
    assert f"written: {tmp_path / 'predictions.csv'} (72 answers)" in capsys.readouterr().out


def test_regression_writes_values(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "regression", n_way=1)
    assert all(row["prediction"] == f"[{row['output_0']}]" for row in rows)
    assert all(row["target"].startswith("[") for row in rows)


def test_a_writer_forgets_what_it_wrote_before(tmp_path: Path) -> None:
    assert len(rows_of(tmp_path, "vector", n_runs=2)) == 2 * 8 * 6
