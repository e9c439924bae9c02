"""What the Trainer cannot do on a stream is refused with what to use in its place, and the rest works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

import lifelong
from lifelong.run.trainer_values import check_trainer_values
from lifelong.training.stream_module import StreamModule
from tests.command_line import TINY, run_here
from tests.toys import ADAM, make_learner, toy_data

pytestmark = pytest.mark.filterwarnings("ignore")

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("fit", {"max_epochs": 0}, "--trainer.max_epochs is 0, .* number of experiences"),
    ("fit", {"max_steps": 3}, "--trainer.max_steps 3 .* --data.steps_per_experience"),
    ("fit", {"min_epochs": 3}, "--trainer.min_epochs 3 .* leave it out"),
    ("fit", {"limit_val_batches": 0}, "--trainer.limit_val_batches is 0"),
    ("fit", {"limit_val_batches": 1.5}, "--trainer.limit_val_batches is 1.5"),
    ("validate", {"limit_val_batches": 0}, "--trainer.limit_val_batches is 0"),
    ("test", {"limit_test_batches": 0.0}, "--trainer.limit_test_batches is 0"),
    ("fit", {"check_val_every_n_epoch": 2}, "--data.evaluate_every"),
    ("fit", {"val_check_interval": 0.5}, "middle of an experience"),
    ("fit", {"devices": 0}, "--trainer.devices is 0"),
    ("fit", {"devices": [-1]}, r"--trainer.devices is \[-1\]"),
    ("fit", {"devices": -1, "accelerator": "cpu"}, "on the CPU"),
    ("fit", {"default_root_dir": "here"}, "--run.root"),
    ("fit", {"callbacks": ModelCheckpoint(save_last=True)}, "save_last .* dirpath"),
]
ALLOWED: list[tuple[str, dict[str, Any]]] = [
    (
        "fit",
        {"max_epochs": -1, "max_steps": -1, "min_epochs": None, "limit_val_batches": 1.0},
    ),
    ("fit", {"devices": "auto", "gradient_clip_val": 0, "limit_test_batches": 0, "callbacks": None}),
    ("fit", {"devices": 2, "limit_val_batches": 3, "callbacks": ModelCheckpoint(dirpath="own", save_last=True)}),
    ("fit", {"devices": "2", "limit_train_batches": 0.5, "callbacks": [ModelCheckpoint()]}),
    ("test", {"max_epochs": 0, "limit_val_batches": 0, "check_val_every_n_epoch": 2, "devices": [0]}),
]


@pytest.mark.parametrize(("command", "arguments", "message"), REFUSED)
def test_values_without_use_on_a_stream_are_refused(command: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_trainer_values(command, arguments)


@pytest.mark.parametrize(("command", "arguments"), ALLOWED)
def test_values_with_a_use_pass(command: str, arguments: dict[str, Any]) -> None:
    check_trainer_values(command, arguments)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    return tmp_path


def fit(folder: Path, **trainer: Any) -> lifelong.Run:
    quiet = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
    return lifelong.fit(make_learner("ProtoNet"), toy_data(), optimizer=ADAM, run=folder / "run", **(quiet | trainer))


def trained(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return {name: value for name, value in content["state_dict"].items() if isinstance(value, torch.Tensor)}


def test_a_run_without_progress_bar_is_the_same_run(here: Path) -> None:
    run_here("fit", *TINY, "--run.name=plain")
    run_here("fit", *TINY, "--run.name=silent", "--trainer.enable_progress_bar=false")
    plain, silent = (json.loads((here / f"runs/{name}/results.json").read_text()) for name in ("plain", "silent"))
    assert plain["matrix"] == silent["matrix"]


def test_barebones_learns_the_same_and_logs_nothing(here: Path) -> None:
    run_here("fit", *TINY, "--run.name=plain")
    run_here("fit", *TINY, "--run.name=bare", "--trainer.barebones=true")
    plain, bare = here / "runs/plain", here / "runs/bare"
    expected = trained(plain)
    assert all(torch.equal(expected[name], value) for name, value in trained(bare).items())
    results = json.loads((bare / "results.json").read_text())
    assert results["matrix"] == json.loads((plain / "results.json").read_text())["matrix"]
    assert (plain / "metrics.csv").is_file()
    assert not (bare / "metrics.csv").exists()


def test_a_users_checkpoints_stand_beside_the_runs(here: Path) -> None:
    callback = (
        "{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {monitor: val/average_score, mode: max"
    )
    run_here("fit", *TINY, "--run.name=r", f"--trainer.callbacks=[{callback}, dirpath: best, filename: best}}}}]")
    assert (here / "best/best.ckpt").is_file()
    assert (here / "runs/r/checkpoints/last.ckpt").is_file()
    assert not (here / "best/last.ckpt").exists()


def test_a_users_checkpoint_without_settings_is_resumed_from(here: Path) -> None:
    run_here("fit", *TINY, "--run.name=r", "--trainer.callbacks=[lightning.pytorch.callbacks.ModelCheckpoint]")
    assert (here / "runs/r/checkpoints/last.ckpt").is_file()
    run_here("fit", *TINY, "--run.name=r", "--run.resume=must")


def test_a_metric_that_is_not_measured_is_one_sentence(here: Path) -> None:
    for callback in (EarlyStopping("nothing"), ModelCheckpoint(monitor="nothing")):
        with pytest.raises(ValueError, match=r"^a callback .* monitor nothing, .* val/average_score"):
            fit(here / type(callback).__name__, callbacks=[callback])


def test_a_metric_that_is_measured_may_stop_a_stream(here: Path) -> None:
    run = fit(here, callbacks=[EarlyStopping("val/average_score", mode="max", patience=5)])
    assert run.matrix.shape == (2, 2)


def test_a_run_that_ends_before_a_row_is_no_success(here: Path) -> None:
    with pytest.raises(ValueError, match=r"no accuracy matrix: .*--trainer.max_time"):
        fit(here, max_time="00:00:00:00")


def test_more_processes_than_tasks_are_refused_before_they_start(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.Trainer.fit", lambda *_, **__: pytest.fail("processes were started"))
    with pytest.raises(ValueError, match=r"99 (devices|processes)"):
        fit(here, devices=99)


def test_a_checkpoint_whose_weights_do_not_fit_is_one_sentence() -> None:
    module = StreamModule(make_learner("ProtoNet"))
    state = module.state_dict()
    name = next(iter(state))
    with pytest.raises(ValueError, match=rf"do not fit \(Missing key.*{name}.*--ckpt_path"):
        module.load_state_dict({key: value for key, value in state.items() if key != name})
    module.load_state_dict(state)
