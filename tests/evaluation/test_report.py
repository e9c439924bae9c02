"""What a run prints and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from strategies import AdapterBank
from tests.toys import make_classifier, make_learner, module_of, toy_data, toy_examples

DISJOINT = "the classes of the experiences are disjoint"
quiet = pytest.mark.filterwarnings("ignore")


def trainer_of(folder: Path, evaluator: Evaluator, **settings: Any) -> L.Trainer:
    defaults: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    defaults |= {"enable_model_summary": False, "accelerator": "cpu", "max_epochs": -1, "default_root_dir": folder}
    return L.Trainer(**(defaults | settings), callbacks=[evaluator])


@quiet
def test_a_run_writes_its_files_and_prints_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluator, logger = Evaluator(Report(tmp_path, {"seed": 3})), CSVLogger(tmp_path / "log")
    module = module_of(make_learner(), [AdapterBank()])
    trainer_of(tmp_path, evaluator, logger=logger).fit(module, toy_data(3))
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["finished"]
    assert content["config"] == {"seed": 3}
    assert content["strategies"] == ["AdapterBank"]
    assert content["strategy_bytes"]["AdapterBank"] > 0
    assert content["experiences"] == content["domains"] == ["domain 0", "domain 1", "domain 2"]
    assert content["plan"]
    np.testing.assert_array_equal(content["matrix"], evaluator.results.matrix)
    np.testing.assert_array_equal(Results.load(tmp_path).scores(), evaluator.matrix())
    shown = np.loadtxt(Path(logger.log_dir) / "matrix.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(shown[:, 1:], evaluator.results.matrix)
    assert (Path(logger.log_dir) / "heat_map.png").read_bytes() == (tmp_path / "accuracy_matrix.png").read_bytes()
    for name in ("accuracy_matrix.png", "forgetting_curves.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] > 300
    printed = capsys.readouterr().out
    assert printed.count("learnt │") == 3
    assert "forgetting ↓" in printed
    assert "AdapterBank/routing_accuracy: " in printed
    assert f"run folder: {tmp_path}" in printed
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@quiet
def test_why_a_metric_is_missing_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer_of(tmp_path, Evaluator(Report(tmp_path))).fit(module_of(make_classifier()), toy_examples("class", 2))
    assert f"forward transfer ↑ n/a {DISJOINT}" in " ".join(capsys.readouterr().out.split())
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["metrics"]["forward_transfer"] is None
    assert content["reasons"] == {"forward_transfer": DISJOINT}
    assert content["metrics"]["backward_transfer"] is not None


@quiet
def test_lines_show_what_was_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = toy_data(4, evaluate_every=3)
    trainer_of(tmp_path, Evaluator(Report(tmp_path))).fit(module_of(make_learner()), data)
    lines = [line for line in capsys.readouterr().out.splitlines() if " learnt │" in line]
    assert [line.split(" learnt")[0] for line in lines] == [f"experience {i + 1}/4 'domain {i}'" for i in range(4)]
    assert not any("n/a" in line for line in lines)
    assert lines[1].endswith("│ 1 of 2 domains evaluated")
    assert "domain 0" not in lines[1]
    assert "│ average" in lines[2]
    assert "│ average" in lines[3]


@quiet
def test_a_checkpoint_is_written_under_what_it_was_evaluated_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluator, module, data = Evaluator(Report(tmp_path)), module_of(make_learner()), toy_data(2)
    trainer = trainer_of(tmp_path, evaluator)
    trainer.fit(module, data)
    before = (tmp_path / "results.json").read_bytes()
    trainer.validate(module, data, verbose=False)
    trainer.test(module, data, verbose=False)
    validated, tested = (json.loads((tmp_path / f"{p}_3way_2shot.json").read_text()) for p in ("val", "test"))
    np.testing.assert_allclose(validated["mean"], evaluator.results.matrix[-1])
    assert (validated["part"], tested["part"]) == ("val", "test")
    assert tested["n_eval_units"] == [8, 8]
    assert "8 test tasks a domain" in capsys.readouterr().out
    assert (tmp_path / "results.json").read_bytes() == before


@quiet
def test_a_run_that_was_interrupted_left_what_it_had(tmp_path: Path) -> None:
    class Stop(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 1:
                raise RuntimeError("power cut")

    trainer = trainer_of(tmp_path, Evaluator(Report(tmp_path)))
    trainer.callbacks.append(Stop())  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="power cut"):
        trainer.fit(module_of(make_learner()), toy_data(3))
    left = Results.load(tmp_path)
    assert not left.setting.finished
    assert left.matrix.shape == (1, 3)
