"""Tables and pictures in the loggers that Lightning has."""

from __future__ import annotations

import csv
import doctest
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from PIL import Image

from lifelong.evaluation import logged as module_logged
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.logged import log_picture, log_table
from lifelong.evaluation.report import Report
from tests.toys import make_classifier, module_of, toy_examples

NAMES = {"val/average_score", "val/score/domain 0", "val/score/domain 1", "train/loss"}
quiet = pytest.mark.filterwarnings("ignore")


def learn(folder: Path, loggers: list[Logger]) -> Evaluator:
    evaluator = Evaluator(Report(folder))
    settings: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "log_every_n_steps": 1}
    settings |= {"enable_model_summary": False, "accelerator": "cpu", "max_epochs": -1, "default_root_dir": folder}
    L.Trainer(**settings, logger=loggers, callbacks=[evaluator]).fit(
        module_of(make_classifier()), toy_examples("domain", 2)
    )
    return evaluator


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@quiet
def test_two_loggers_at_once_have_scalars_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board, table = TensorBoardLogger(tmp_path / "board"), CSVLogger(tmp_path / "csv")
    evaluator = learn(tmp_path, [board, table])
    matrix = evaluator.results.matrix

    events = EventAccumulator(board.log_dir, size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) >= NAMES
    average = events.Scalars("val/average_score")
    assert [event.value for event in average] == pytest.approx([e.value for e in evaluator.results.averages])
    assert set(events.Tags()["images"]) == {"heat map", "curves"}
    shown = events.Images("heat map")[-1]
    assert shown.step == average[-1].step
    (tmp_path / "shown.png").write_bytes(shown.encoded_image_string)
    np.testing.assert_array_equal(pixels(tmp_path / "shown.png"), pixels(tmp_path / "accuracy_matrix.png"))
    text = events.Tensors("matrix/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert text.splitlines()[0] == "| after experience | domain 0 | domain 1 |"
    assert text.splitlines()[-1] == f"| 2 | {matrix[1, 0]:.4g} | {matrix[1, 1]:.4g} |"

    folder = Path(table.log_dir)
    with (folder / "metrics.csv").open(newline="") as file:
        assert set(next(csv.reader(file))) >= NAMES
    np.testing.assert_array_equal(np.loadtxt(folder / "matrix.csv", delimiter=",", skiprows=1)[:, 1:], matrix)
    for ours, theirs in (("heat_map.png", "accuracy_matrix.png"), ("curves.png", "forgetting_curves.png")):
        assert (folder / ours).read_bytes() == (tmp_path / theirs).read_bytes()


@quiet
def test_mlflow_has_scalars_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    logger = MLFlowLogger(tracking_uri=f"file:{tmp_path / 'mlruns'}")
    evaluator = learn(tmp_path, [logger])
    client, run_id = logger.experiment, logger.run_id
    values = client.get_run(run_id).data.metrics
    assert values["val/average_score"] == pytest.approx(evaluator.results.averages[-1].value)
    assert values.keys() >= NAMES
    names = {file.path for file in client.list_artifacts(run_id)}
    assert names == {"accuracy_matrix.png", "forgetting_curves.png", "matrix.csv"}
    path = Path(client.download_artifacts(run_id, "matrix.csv", str(tmp_path)))
    np.testing.assert_array_equal(np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:], evaluator.results.matrix)


class FakeLogger(Logger):
    """Keeps what its experiment is given."""

    def __init__(self, *methods: str, **attributes: Any) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.experiment = SimpleNamespace(**{method: partial(self._keep, method) for method in methods})
        vars(self).update(attributes)

    name = version = "fake"

    def _keep(self, method: str, *args: Any, **kwargs: Any) -> None:
        self.calls.append((method, args, kwargs))

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (3, 2), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_mlflow_takes_files_under_its_run(picture: Path) -> None:
    # As well where mlflow is not installed: with an object in its place that has methods of the same names.
    logger = FakeLogger("log_artifact", "log_text", "log_image", "log_table", run_id="r")
    log_picture(logger, "heat map", picture, 3)
    log_table(logger, "last row", ["a"], [[1]], 3)
    assert logger.calls == [
        ("log_artifact", ("r", str(picture)), {}),
        ("log_text", ("r", "a\n1\n", "last_row.csv"), {}),
    ]


def test_comet_takes_both(picture: Path) -> None:
    logger = FakeLogger("log_image", "log_table")
    log_picture(logger, "heat map", picture, 3)
    log_table(logger, "matrix", ["a"], [[1]], 3)
    assert logger.calls == [
        ("log_image", (str(picture),), {"name": "heat map", "step": 3}),
        ("log_table", ("matrix.csv", [[1]]), {"headers": ["a"]}),
    ]


def test_a_logger_of_scalars_alone_is_left_alone(picture: Path) -> None:
    logger = FakeLogger()
    log_picture(logger, "heat map", picture, 3)
    log_table(logger, "matrix", ["a"], [[1]], 3)
    assert logger.calls == []


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(module_logged)
    assert result.attempted >= 1
    assert result.failed == 0
