"""metrics.csv grows line by line and is always what a whole writing would give."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest

import lifelong
from lifelong.run.folder import RunFolder
from lifelong.run.metrics_csv import MetricsCSV
from lifelong.training.checkpoint import StreamCheckpoint
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


@pytest.mark.parametrize("torn", ["3,0.", "3", "3,0.25,7", '3,"', ""])
def test_a_torn_last_row_is_dropped(torn: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(b"step,loss,penalty\r\n1,0.5,\r\n2,0.25,\r\n" + torn.encode())
    logger = MetricsCSV(RunFolder(tmp_path), start_step=4)
    assert logger.rows == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    logger.log_metrics({"loss": 1.0}, 4)
    logger.save()
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "4"]


@pytest.mark.parametrize("broken", ["?,1", "1,2,3", "1,x", "1,\x00"])
def test_rows_that_cannot_be_read_are_dropped_and_said(broken: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(f"step,loss\n0,0.5\n{broken}\n")
    with pytest.warns(UserWarning, match=r"metrics.csv cannot be read from row 2 on"):
        assert MetricsCSV(RunFolder(tmp_path), start_step=4).rows == [{"step": 0, "loss": 0.5}]


class KilledAt(L.Callback):
    """Ends the training, as a kill would, when the batch ends after which a checkpoint was due."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise KilledError


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("step", [4, 5, 8])
def test_no_row_is_lost_whenever_a_run_is_killed(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(name: str, *callbacks: L.Callback) -> None:
        learner, data = make_classifier(), toy_examples("class", steps_per_experience=6)
        settings: dict[str, Any] = {"logger": False, "accelerator": "cpu", "log_every_n_steps": 1}
        settings |= {"enable_progress_bar": False, "callbacks": [*callbacks]}
        every = StreamCheckpoint(every_n_steps=2)
        lifelong.fit(learner, data, run=tmp_path / name, resume="auto", seed=0, checkpoint=every, **settings)

    learn("whole")
    with monkeypatch.context() as context:
        context.setattr(MetricsCSV, "finalize", lambda *_: None)
        with pytest.raises(KilledError):
            learn("killed", KilledAt(step))
    learn("killed")
    steps = [[row["step"] for row in rows(tmp_path / name) if row["train/loss"]] for name in ("whole", "killed")]
    assert steps[0] == steps[1] == [str(n) for n in range(18)]


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
