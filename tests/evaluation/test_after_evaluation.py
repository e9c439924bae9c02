"""Pictures of callbacks are titled as those of every run are, and shown in the loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.loggers import CSVLogger, Logger
from matplotlib.figure import Figure

from lifelong.evaluation import AdaptationCurve, StabilityGap, after_evaluation, plots
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from tests.toys import make_classifier, make_learner, module_of, toy_data, toy_examples

pytestmark = pytest.mark.filterwarnings("ignore")
CONFIG = {"data": {"class_path": "A", "init_args": {"sources": [{"class_path": "datamodules.Glyphs"}]}}}


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The titles of pictures, by file."""
    found: dict[str, str] = {}

    def save(figure: Figure, path: Path) -> None:
        found[path.name] = figure.get_suptitle()
        plots.save_figure(figure, path)

    monkeypatch.setattr(after_evaluation, "save_figure", save)
    return found


def trainer_of(folder: Path, *callbacks: L.Callback, logger: Logger | bool = False) -> L.Trainer:
    quiet: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    quiet |= {"enable_model_summary": False, "default_root_dir": folder, "max_epochs": -1, "num_sanity_val_steps": 0}
    return L.Trainer(**quiet, logger=logger, callbacks=list(callbacks))


def test_the_adaptation_curve_says_its_run_and_data(tmp_path: Path, titles: dict[str, str]) -> None:
    folder, module, data = tmp_path / "birds", module_of(make_learner("MAML")), toy_data(2, n_eval_tasks=3)
    logger, evaluator = CSVLogger(tmp_path / "log"), Evaluator(Report(folder, CONFIG))
    trainer_of(folder, evaluator, AdaptationCurve(n_steps=2), logger=logger).fit(module, data)
    assert titles["adaptation_curve_val.png"].split("\n", 1)[0] == "birds: MAML, no strategy"
    evaluation = evaluator.results.setting.evaluation
    assert titles["adaptation_curve_val.png"].replace("\n", " ").endswith(f"Glyphs, {evaluation}")
    shown = Path(logger.log_dir) / "adaptation_curve.png"
    assert shown.read_bytes() == (folder / "adaptation_curve_val.png").read_bytes()
    trainer_of(tmp_path, AdaptationCurve(n_steps=2)).test(module, data, verbose=False)  # of no run
    assert titles["adaptation_curve_test.png"].startswith("MAML, no strategy\n3 test tasks a domain")


def test_the_stability_gap_says_its_run_and_data(tmp_path: Path, titles: dict[str, str]) -> None:
    folder, data = tmp_path / "birds", toy_examples("class", 3, steps_per_experience=4)
    logger, evaluator = CSVLogger(tmp_path / "log"), Evaluator(Report(folder, CONFIG))
    gap = StabilityGap(every_n_steps=2, n_units=30)
    trainer_of(folder, evaluator, gap, logger=logger).fit(module_of(make_classifier()), data)
    learner = type(make_classifier()).__name__
    assert titles["stability_gap_val.png"].replace("\n", " ") == (
        f"birds: {learner}, no strategy Glyphs, at most 30 val units of each old domain"
    )
    shown = Path(logger.log_dir) / "stability_gap.png"
    assert shown.read_bytes() == (folder / "stability_gap_val.png").read_bytes()
