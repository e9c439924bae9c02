"""The closed-loop evaluation of a stream of points whose actuators may be reversed."""

from __future__ import annotations

import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lifelong.control.plots import trajectories_figure
from lifelong.control.video import film_suffix, side_by_side, write_film
from PIL import Image

from datamodules.episodic import EpisodicDataModule
from lifelong.control import ClosedLoop
from lifelong.control.closed_loop import closed_loop_table
from lifelong.control.drive import Drive
from lifelong.control.support_curve import default_sizes, errors_by_size, windows
from lifelong.learners import MAML, NoAdaptation
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.run.folder import RunFolder
from lifelong.training.optimizer import OuterLoop
from strategies import WeightAveraging
from tests.command_line import error_of, run_here
from tests.control.points import SIGNS, Points
from tests.toys import fit, toy_data

quiet = pytest.mark.filterwarnings("ignore")
NAMES = list(SIGNS)
POINTS = [
    "--model=lifelong.learners.MAML",
    "--model.task=regression",
    "--model.inner_rate=0.1",
    "--model.n_inner_steps=3",
    "--model.learn_inner_rate=true",
    "--model.network=lifelong.networks.MLP",
    "--model.network.n_inputs=4",
    "--model.network.hidden=[16]",
    "--model.network.n_outputs=2",
    "--data.sources=[{class_path: tests.control.points.Points}]",
    "--data.n_way=1",
    "--data.n_shot=10",
    "--data.n_query=10",
    "--data.tasks_per_batch=8",
    "--data.steps_per_experience=8",
    "--data.n_eval_tasks=6",
    "--data.split=[4, 4]",
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
]
CALLBACK = ["--trainer.callbacks+=lifelong.control.ClosedLoop", "--trainer.callbacks.n_robots=4"]


def points(**settings: Any) -> EpisodicDataModule:
    shape = {"n_way": 1, "n_shot": 10, "n_query": 10, "tasks_per_batch": 8, "split": (4, 4), "n_eval_tasks": 6}
    return EpisodicDataModule([Points()], **({"steps_per_experience": 25, **shape} | settings))


def maml(**settings: Any) -> Learner:
    torch.manual_seed(0)
    outer = OuterLoop(optimizer=partial(torch.optim.Adam, lr=0.02))
    steps = {"n_inner_steps": 3, "inner_rate": 0.1, "learn_inner_rate": True}
    return MAML(MLP(n_inputs=4, hidden=[16], n_outputs=2), task="regression", outer=outer, **(steps | settings))


def learnt(learner: Learner, data: Any, callback: ClosedLoop, strategies: Any = (), **trainer: Any) -> dict[str, Any]:
    """Learn a stream with the callback; ``fit`` of the toys has room for one evaluator only."""
    import lightning as L

    learner.use(strategies)
    settings = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    settings |= {"max_epochs": -1, "num_sanity_val_steps": 0, "enable_model_summary": False}
    L.Trainer(**(settings | trainer), callbacks=[callback]).fit(learner, datamodule=data)
    assert callback.result is not None
    return callback.result


@quiet
def test_the_matrix_of_a_stream_shows_what_naive_training_forgets(tmp_path: Path) -> None:
    # Without adaptation one network cannot do both: it drives the family that it learnt last.
    data = points(steps_per_experience=40)
    data.sources = [Points(families=["nominal", "both reversed"])]
    outer = OuterLoop(optimizer=partial(torch.optim.Adam, lr=0.02))
    torch.manual_seed(0)
    learner = NoAdaptation(MLP(n_inputs=4, hidden=[16], n_outputs=2), task="regression", outer=outer)
    callback = ClosedLoop(n_robots=4, every_experience=True)
    callback.folder = RunFolder(tmp_path)
    result = learnt(learner, data, callback)
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
def test_after_the_last_experience_only_the_rows_before_are_unknown() -> None:
    result = learnt(maml(), points(steps_per_experience=4), ClosedLoop(n_robots=2, compare=False, support_sizes=[]))
    matrix = np.array(result["matrix"])
    assert np.isnan(matrix[:2]).all()
    assert np.isfinite(matrix[2]).all()
    assert result["metrics"]["average_score"] is not None
    assert result["metrics"]["forgetting"] is None
    assert result["reasons"]["forgetting"] == "needs scores that were not evaluated"
    assert result["without_adaptation"] == {}
    assert "support_curve" not in result


@quiet
def test_adaptation_is_measured_by_success_and_by_the_models_error() -> None:
    data, learner = points(steps_per_experience=80, joint=True), maml()
    fit(learner, data)
    callback = ClosedLoop(n_robots=4, support_sizes=[0, 2, 10])
    import lightning as L

    state, weights = torch.get_rng_state(), [p.detach().clone() for p in learner.parameters()]
    trainer = L.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", callbacks=[callback])
    trainer.test(learner, data, verbose=False)
    result = callback.result
    assert result is not None
    assert result["part"] == "test"
    assert min(result["measures"]["success"]["mean"]) > 0.7
    assert result["without_adaptation"]["success"]["mean"][2] < 0.5
    errors = np.array(result["support_curve"]["mean"])
    assert errors.shape == (3, 3)
    assert (errors[:, 2] < 0.2).all()
    assert (errors[:, 0] > 3 * errors[:, 2]).all()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights, learner.parameters(), strict=True))
    table = closed_loop_table(result)
    assert [column.header for column in table.columns][:3] == ["domain", "success\n(%) ↑", "without\nadaptation"]


def test_the_error_is_that_of_the_end_of_the_support_set_and_one_for_the_mean() -> None:
    data = points()
    batch = windows(data, "val", 0, 10, 5, torch.device("cpu"))
    assert batch.support_x.shape == (5, 10, 4)
    constant = NoAdaptation(MLP(n_inputs=4, hidden=[4], n_outputs=2), task="regression")
    for p in constant.parameters():
        torch.nn.init.zeros_(p)
    assert errors_by_size(constant, batch, [0, 10]).mean() == pytest.approx(1, abs=0.1)
    learner = maml()
    whole = errors_by_size(learner, batch, [3])
    cut = type(batch)(batch.support_x[:, 7:], batch.support_y[:, 7:], batch.query_x, batch.query_y, batch.weight, 0)
    np.testing.assert_allclose(whole, errors_by_size(learner, cut, [3]), rtol=1e-6)
    assert default_sizes(1) == [0, 1]
    assert default_sizes(8) == [0, 1, 2, 4, 8]


def test_what_cannot_be_driven_is_one_sentence() -> None:
    class Trainer:
        datamodule: Any = toy_data(1)

    def sentence(callback: ClosedLoop, learner: Learner, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            callback.setup(Trainer(), learner, "fit")  # type: ignore[arg-type]

    sentence(ClosedLoop(), maml(), "no few-shot tasks of any")
    Trainer.datamodule = points()
    learner = maml()
    learner.use([WeightAveraging()])
    sentence(ClosedLoop(), learner, "WeightAveraging answers whole tasks")
    sentence(ClosedLoop(domains=["ice"]), maml(), "no robots in ice: choose domains from nominal, x reversed")
    sentence(ClosedLoop(domains=[]), maml(), "an empty list of domains")
    sentence(ClosedLoop(support_sizes=[25]), maml(), "has 30 examples")
    with pytest.raises(ValueError, match="n_robots 0"):
        ClosedLoop(n_robots=0)
    with pytest.raises(ValueError, match=r"support_sizes \[-1\]"):
        ClosedLoop(support_sizes=[-1])


def way(places: Any, goals: Any, success: Any) -> Drive:
    states = np.array(places, dtype=np.float32)
    nothing = np.zeros((len(states), states.shape[1] - 1, 2), dtype=np.float32)
    return Drive({"success": np.array(success)}, states, nothing, np.array(goals, dtype=np.float32), positions=states)


def test_ways_are_drawn_in_pairs_that_show_the_same_place() -> None:
    goals = [[[1, 1]] * 3, [[-1, 1]] * 3]
    after = way([[[0, 0], [0.5, 0.5], [1, 1]], [[0, 0], [-1, 1], [np.nan] * 2]], goals, [1.0, 1.0])
    before = way([[[0, 0], [-50, 0], [-99, 0]], [[0, 0], [0, -1], [0, -2]]], goals, [0.0, 0.0])
    figure = trajectories_figure([("a", before, after), ("b", None, after), ("c", before, after)], title="t")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        "a\nbefore adaptation: success 0 %",
        "a\nafter adaptation: success 100 %",
        "b\nafter adaptation: success 100 %",
        "c\nbefore adaptation: success 0 %",
        "c\nafter adaptation: success 100 %",
    ]
    assert len({axes.get_xlim() for axes in shown}) == 1
    assert abs(shown[0].get_xlim()[0]) < 3
    assert len([line for line in shown[0].lines if line.get_gid() == "way"]) == 2
    with pytest.raises(ValueError, match="no ways"):
        trajectories_figure([], title="")


def test_films_stand_side_by_side_and_the_shorter_one_waits() -> None:
    black, white = np.zeros((20, 30, 3), dtype=np.uint8), np.full((20, 30, 3), 255, dtype=np.uint8)
    frames = side_by_side([[black, white, black], [white]], ["before", "after"])
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert frames[0][24:44, :30].max() == 0
    assert frames[1][24:44, :30].min() == 255
    assert all((frame[24:44, 34:] == 255).all() for frame in frames)


def test_films_can_be_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(5)]
    path = RunFolder(tmp_path).write("film.gif", lambda part: write_film(part, frames, 0.1, ".gif"))
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (5, (64, 48), 100)  # type: ignore[attr-defined]


@pytest.mark.robot
@pytest.mark.skipif(importlib.util.find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed")
def test_a_film_is_mp4_where_there_is_an_encoder(tmp_path: Path) -> None:
    import imageio_ffmpeg  # type: ignore[import-not-found, unused-ignore]

    frames = [np.full((48, 64, 3), 40 * i, dtype=np.uint8) for i in range(5)]
    assert film_suffix() == ".mp4"
    path = RunFolder(tmp_path).write("film.mp4", lambda part: write_film(part, frames, 0.1, ".mp4"))
    n_frames, seconds = imageio_ffmpeg.count_frames_and_secs(path)
    assert n_frames == 5
    assert seconds == pytest.approx(0.5, abs=0.05)


@quiet
def test_the_command_line_drives_in_fit_validate_and_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    every = ["--trainer.callbacks.every_experience=true", "--trainer.callbacks.video=true"]
    run_here("fit", *POINTS, "--run.name=c", *CALLBACK, *every)
    folder = Path("runs/c")
    fitted = json.loads((folder / "closed_loop.json").read_text())
    assert (fitted["part"], fitted["after"], fitted["score"]) == ("val", "both reversed", "success")
    assert fitted["domains"] == NAMES
    assert len(fitted["matrix"]) == 3
    printed = capsys.readouterr().out
    assert printed.count("closed loop after both reversed") == 1
    assert "written: runs/c/closed_loop.json" in printed
    assert "forgetting" in printed.split("closed loop over the stream")[1]
    assert "val/closed_loop/nominal" in (folder / "metrics.csv").read_text().splitlines()[0]
    for file in fitted["files"]:
        assert (folder / file).stat().st_size > 500
    assert f"drive_both_reversed{film_suffix()}" in fitted["files"]
    last = "--ckpt_path=runs/c/checkpoints/last.ckpt"
    run_here("validate", last, "--trainer.logger=false")  # the callback is in the saved config
    validated = json.loads((folder / "closed_loop_val.json").read_text())
    assert validated["measures"] == fitted["measures"]
    assert validated["support_curve"] == fitted["support_curve"]
    assert "matrix" not in validated
    assert json.loads((folder / "closed_loop.json").read_text()) == fitted  # what fit wrote is not lost
    run_here("test", last, "--trainer.logger=false")
    tested = json.loads((folder / "closed_loop_test.json").read_text())
    assert tested["part"] == "test"
    assert tested["measures"] != fitted["measures"]
    assert "matrix" not in tested
    with Image.open(folder / "trajectories_test.png") as picture:
        assert picture.size[0] > 500
    chosen = "--trainer.callbacks.domains=[x reversed]"  # in one environment, by name
    run_here("test", last, "--trainer.logger=false", chosen)
    alone = json.loads((folder / "closed_loop_test.json").read_text())
    assert alone["domains"] == ["x reversed"]
    assert alone["measures"]["success"]["mean"] == tested["measures"]["success"]["mean"][1:2]
    code, message = error_of(capsys, "fit", *POINTS, *CALLBACK[:1], "--trainer.callbacks.n_robots=0")
    assert code in (1, 2)
    assert "n_robots 0" in message


@quiet
def test_a_resumed_run_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    every = [*CALLBACK, "--trainer.callbacks.every_experience=true", "--trainer.callbacks.support_sizes=[]"]
    every += ["--trainer.callbacks.compare=false", "--data.steps_per_experience=2"]
    run_here("fit", *POINTS, "--run.name=whole", *every)
    whole = json.loads(Path("runs/whole/closed_loop.json").read_text())
    run_here("fit", *POINTS, "--run.name=part", *every, "--trainer.max_epochs=2")
    first = json.loads(Path("runs/part/closed_loop.json").read_text())
    assert first["matrix"] == whole["matrix"][:2]
    run_here("fit", "--ckpt_path=runs/part/checkpoints/last.ckpt", "--trainer.max_epochs=3", "--trainer.logger=false")
    resumed = json.loads(Path("runs/part/closed_loop.json").read_text())
    assert resumed["matrix"] == whole["matrix"]
    assert resumed["metrics"] == whole["metrics"]
