"""The closed-loop evaluation of a stream of points whose actuators may be reversed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from matplotlib.figure import Figure

from datamodules.episodic import EpisodicDataModule
from lifelong.control import ClosedLoop
from lifelong.control.closed_loop_table import closed_loop_table
from lifelong.evaluation import after_evaluation, plots
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.recording import record
from strategies import WeightAveraging
from tests.control.driving import QUICK, data_of, module_for
from tests.control.points import Points
from tests.toys import fit, toy_data

quiet = pytest.mark.filterwarnings("ignore")


def points(**settings: Any) -> EpisodicDataModule:
    return data_of(Points(), **({"n_eval_tasks": 6} | settings))


def maml(strategies: Any = ()) -> StreamModule:
    return module_for(Points(), "MAML", strategies, **QUICK)


def learnt(module: StreamModule, data: Any, callback: ClosedLoop, folder: Path) -> dict[str, Any]:
    """Learn a stream with the callback; ``fit`` of the toys has room for one evaluator only."""
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings |= {"max_epochs": -1, "num_sanity_val_steps": 0, "enable_model_summary": False, "accelerator": "cpu"}
    L.Trainer(**settings, default_root_dir=folder, callbacks=[callback]).fit(module, datamodule=data)
    assert callback.result is not None
    return callback.result.content()


@quiet
def test_the_matrix_shows_what_naive_training_forgets(tmp_path: Path) -> None:
    # Without adaptation one network cannot do both: it drives the family that it learnt last.
    source = Points(families=["nominal", "both reversed"])
    callback = ClosedLoop(n_robots=4, every_experience=True)
    data = data_of(source, steps_per_experience=40, n_eval_tasks=6)
    result = learnt(module_for(source, "NoAdaptation"), data, callback, tmp_path)
    assert result["matrix"].tolist() == [[1, 0], [0, 1]]
    assert result["metrics"]["average_score"]["value"] == 0.5
    assert result["metrics"]["forgetting"]["value"] == 1
    assert result["after"] == "both reversed"
    assert result["without_adaptation"]["success"] == result["measures"]["success"]
    written = json.loads((tmp_path / "closed_loop.json").read_text())
    assert written["matrix"] == result["matrix"].tolist()
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {
        "closed_loop.json",
        "closed_loop.png",
        "trajectories.png",
        "support_curve.png",
    }
    other = ClosedLoop()
    other.load_state_dict(callback.state_dict())
    np.testing.assert_array_equal(np.array(other.rows), np.array(callback.rows))


@quiet
def test_pictures_say_run_and_data_and_reach_loggers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: dict[str, str] = {}

    def save(figure: Figure, path: Path) -> None:
        titles[path.name] = figure.get_suptitle() or figure.axes[0].get_title()
        plots.save_figure(figure, path)

    monkeypatch.setattr(after_evaluation, "save_figure", save)
    folder, logger = tmp_path / "birds", CSVLogger(tmp_path / "log")
    config = {"data": {"class_path": "A", "init_args": {"sources": [{"class_path": "tests.control.points.Points"}]}}}
    callbacks = [Evaluator(Report(folder, config)), ClosedLoop(n_robots=2, compare=False)]
    settings: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    settings |= {"max_epochs": -1, "num_sanity_val_steps": 0, "enable_model_summary": False, "logger": logger}
    trainer = L.Trainer(**settings, default_root_dir=folder, callbacks=callbacks)
    trainer.fit(maml(), datamodule=points(steps_per_experience=2))
    about = {"closed_loop": "2 val robots a domain", "trajectories": "2 val robots a domain"}
    about["support_curve"] = "model error on val windows"
    for name, what in about.items():
        assert " ".join(titles[f"{name}.png"].split()) == f"birds: MAML, no strategy Points, {what}", name
        assert (Path(logger.log_dir) / f"{name}.png").read_bytes() == (folder / f"{name}.png").read_bytes()


@quiet
def test_driving_at_the_end_leaves_the_rows_before_unknown(tmp_path: Path) -> None:
    callback = ClosedLoop(n_robots=2, compare=False, support_sizes=[])
    result = learnt(maml(), points(steps_per_experience=4), callback, tmp_path)
    matrix = np.array(result["matrix"])
    assert np.isnan(matrix[:2]).all()
    assert np.isfinite(matrix[2]).all()
    assert result["metrics"]["average_score"] is not None
    assert result["metrics"]["forgetting"] is None
    assert result["reasons"]["forgetting"] == "needs scores that were not evaluated"
    assert result["without_adaptation"] == {}
    assert "support_curve" not in result


@quiet
def test_adaptation_shows_in_success_and_the_models_error(tmp_path: Path) -> None:
    data, module = points(steps_per_experience=80, joint=True), maml()
    fit(module, data)
    callback = ClosedLoop(n_robots=4, support_sizes=[0, 2, 10])
    state, weights = torch.get_rng_state(), [p.detach().clone() for p in module.parameters()]
    settings: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(**settings, default_root_dir=tmp_path, callbacks=[callback])
    trainer.test(module, data, verbose=False)
    assert callback.result is not None
    result = callback.result.content()
    assert result["part"] == "test"
    assert min(result["measures"]["success"]["mean"]) > 0.7
    assert result["without_adaptation"]["success"]["mean"][2] < 0.5
    errors = np.array(result["support_curve"]["mean"])
    assert errors.shape == (3, 3)
    assert (errors[:, 2] < 0.2).all()
    assert (errors[:, 0] > 3 * errors[:, 2]).all()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights, module.parameters(), strict=True))
    table = closed_loop_table(callback.result)
    assert [column.header for column in table.columns][:3] == ["domain", "success\n(%) ↑", "without\nadaptation"]


def test_the_callback_is_written_to_a_config() -> None:
    unrecorded: list[str] = []
    recorded = record(ClosedLoop(n_robots=3, domains=["nominal"]), "trainer.callbacks", unrecorded)
    assert not unrecorded
    assert recorded["class_path"] == "lifelong.control.ClosedLoop"
    assert (recorded["init_args"]["n_robots"], recorded["init_args"]["domains"]) == (3, ["nominal"])


def test_what_cannot_be_driven_is_one_sentence(tmp_path: Path) -> None:
    def sentence(callback: ClosedLoop, match: str, data: Any = None, strategies: Any = ()) -> None:
        with pytest.raises(ValueError, match=match):
            learnt(maml(strategies), data or points(), callback, tmp_path)

    sentence(ClosedLoop(), "no few-shot tasks of any", toy_data(1, "regression"))
    sentence(ClosedLoop(), "WeightAveraging replaces the learner's outputs", strategies=[WeightAveraging()])
    sentence(ClosedLoop(domains=["ice"]), "no robots in ice: choose domains from nominal, x reversed")
    sentence(ClosedLoop(domains=[]), "an empty list of domains")
    sentence(ClosedLoop(support_sizes=[25]), "has 30 examples")
    with pytest.raises(ValueError, match="n_robots is 0"):
        ClosedLoop(n_robots=0)
    with pytest.raises(ValueError, match=r"support_sizes is -1"):
        ClosedLoop(support_sizes=[-1])
