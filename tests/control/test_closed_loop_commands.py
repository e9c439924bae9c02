"""The closed-loop evaluation from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lifelong.control.film import film_suffix
from tests.command_line import error_of, run_here
from tests.control.points import SIGNS

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
    assert "n_robots is 0" in message


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
