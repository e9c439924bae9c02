"""metrics.csv grows line by line and is always what a whole writing would give."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lifelong.run.folder import RunFolder
from lifelong.run.loggers import MetricsCSV
from tests.toys import fit, make_classifier, toy_examples


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_appended_and_a_new_column_writes_the_file_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[str] = []
    write = RunFolder.write
    monkeypatch.setattr(
        RunFolder, "write", lambda self, name, writer: (whole.append(name), write(self, name, writer))[1]
    )
    logger = MetricsCSV(RunFolder(tmp_path))
    for step in range(3):
        logger.log_metrics({"loss": step / 2}, step)
        logger.save()
        logger.save()
        assert len(rows(tmp_path)) == step + 1
    assert len(whole) == 1
    logger.log_metrics({"loss": 1.5, "penalty": 2.0}, 3)
    logger.save()
    logger.log_metrics({"penalty": 3.0}, 3)  # a row that was written changes
    logger.finalize("success")
    assert len(whole) == 3
    assert rows(tmp_path)[-1] == {"step": "3", "loss": "1.5", "penalty": "3.0"}
    assert [row["loss"] for row in rows(tmp_path)] == ["0.0", "0.5", "1.0", "1.5"]


def test_a_resumed_run_drops_what_is_done_again_and_goes_on(tmp_path: Path) -> None:
    first = MetricsCSV(RunFolder(tmp_path))
    for step in range(4):
        first.log_metrics({"loss": step}, step)
        first.save()
    second = MetricsCSV(RunFolder(tmp_path), start_step=2)
    second.log_metrics({"loss": 9}, 2)
    second.save()
    assert [row["loss"] for row in rows(tmp_path)] == ["0.0", "1.0", "9.0"]


@pytest.mark.filterwarnings("ignore")
def test_a_row_has_the_loss_of_its_own_step(tmp_path: Path) -> None:
    curves = []
    for every in (1, 3):
        logger = MetricsCSV(RunFolder(tmp_path / str(every)))
        data = toy_examples("class", steps_per_experience=7)
        fit(make_classifier(), data, logger=logger, log_every_n_steps=every)
        curves.append({int(row["step"]): row["train/loss"] for row in rows(tmp_path / str(every)) if row["train/loss"]})
    assert list(curves[0]) == list(range(21))
    assert curves[1] == {step: curves[0][step] for step in range(2, 21, 3)}
