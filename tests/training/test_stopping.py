"""A run that a signal stops saves, says how to go on, ends with the signal's code, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

import lifelong
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.stopping import StopOnSignal, Stopped
from lifelong.training.stream_module import StreamModule
from strategies import Replay
from tests.toys import make_learner, same, toy_data, weights

pytestmark = pytest.mark.filterwarnings("ignore")
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False, "num_sanity_val_steps": 0}


class Kill(L.Callback):
    """Sends this process a signal, once: at a batch of training, or of the evaluation after an experience."""

    def __init__(self, number: int, step: int | None = None, evaluation_after: int | None = None) -> None:
        self.number, self.step, self.evaluation_after = number, step, evaluation_after

    def on_train_batch_start(self, trainer: L.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.step = None
            os.kill(os.getpid(), self.number)

    def on_validation_start(self, trainer: L.Trainer, module: Any) -> None:
        if trainer.current_epoch == self.evaluation_after:
            os.kill(os.getpid(), self.number)


def fit(*callbacks: L.Callback, **settings: Any) -> lifelong.Run:
    torch.manual_seed(0)
    data = toy_data(3, steps_per_experience=6)
    arguments: dict[str, Any] = {"run": "runs/a", "resume": "auto", "callbacks": [*callbacks], **QUIET, **settings}
    return lifelong.fit(make_learner("ProtoNet"), data, strategies=[Replay()], **arguments)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_saves_at_the_next_step(
    number: signal.Signals, accumulate: int, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(n) for n in signal.valid_signals()]
    whole = fit(run="runs/whole", accumulate_grad_batches=accumulate)
    step = 8 // accumulate
    with pytest.raises(Stopped) as stopped:
        fit(Kill(number, step=step), accumulate_grad_batches=accumulate)
    assert stopped.value.code == 128 + number
    last = "runs/a/checkpoints/last.ckpt"
    n_done = step + 1
    line = f"stopped by {number.name} after step {n_done}, saved at step {n_done}: go on with python -m lifelong fit"
    assert line in (printed := capsys.readouterr().out)
    assert last in printed
    assert torch.load(last, weights_only=True)["global_step"] == step + 1
    assert [signal.getsignal(n) for n in signal.valid_signals()] == handlers
    again = fit(accumulate_grad_batches=accumulate)
    assert same(weights(again.learner), weights(whole.learner))
    assert again.matrix.tolist() == whole.matrix.tolist()


@pytest.mark.parametrize("after", [0, 1])
def test_a_signal_stops_an_evaluation_which_is_repeated(after: int, capsys: pytest.CaptureFixture[str]) -> None:
    whole = fit(run="runs/whole")
    with pytest.raises(Stopped) as stopped:
        fit(Kill(signal.SIGTERM, evaluation_after=after))
    assert stopped.value.code == 143
    words = "step 6, nothing saved yet: start it again" if after == 0 else "step 12, saved at step 6: go on with"
    assert words in capsys.readouterr().out
    again = fit()
    assert same(weights(again.learner), weights(whole.learner))
    assert again.matrix.tolist() == whole.matrix.tolist()


def test_the_job_is_requeued_under_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\necho "$@" > requeued\n')
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    names = {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "week", "SLURM_JOB_ID": "77", "SLURM_PROCID": "0"}
    for name, value in (names | {"SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "n1"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Stopped):
        fit(Kill(signal.SIGUSR1, step=2))
    assert Path("requeued").read_text() == "requeue 77\n"
    assert "the job 77 is requeued" in capsys.readouterr().out
    assert not list(Path("runs").rglob("hpc_ckpt*"))
    assert fit().matrix.shape == (3, 3)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    whole = fit(run="runs/whole")
    with pytest.raises(Stopped):
        fit(Kill(signal.SIGTERM, step=8))
    last = Path("runs/a/checkpoints/last.ckpt")
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"last.ckpt is damaged: .*: .*experience-00.ckpt is used in its place"):
        again = fit()
    assert same(weights(again.learner), weights(whole.learner))
    assert again.matrix.tolist() == whole.matrix.tolist()
    names = sorted(path.name for path in Path("runs/a/checkpoints").iterdir())
    assert names == ["experience-01.ckpt", "experience-02.ckpt", "last.ckpt"]


@pytest.mark.parametrize("way_on", [{}, {"ckpt_path": "runs/a/checkpoints/last.ckpt"}], ids=["resume", "ckpt_path"])
def test_the_checkpoint_of_an_experience_is_made_up_for(way_on: dict[str, Any]) -> None:
    with pytest.raises(Stopped):
        fit(Kill(signal.SIGTERM, evaluation_after=1))
    lost = Path("runs/a/checkpoints/experience-00.ckpt")
    lost.unlink()  # as by a kill between the rename of last.ckpt and its second name
    fit(checkpoint=StreamCheckpoint(keep_experiences=None), **way_on)
    assert torch.load(lost, weights_only=True)["global_step"] == 6


def test_a_run_killed_before_its_report_gets_it_when_it_goes_on() -> None:
    whole = fit()
    for name in ("results.json", "scores.npz", "accuracy_matrix.png"):
        Path("runs/a", name).unlink()
    again = fit()
    assert again.matrix.tolist() == whole.matrix.tolist()
    assert json.loads(Path("runs/a/results.json").read_text())["finished"]
    assert Path("runs/a/accuracy_matrix.png").is_file()


class Spoils(L.Callback):
    """Makes a weight no number after a step, as a step that is too long does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, module: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                next(iter(module.parameters())).fill_(float("nan"))
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_sound_checkpoint_is_not_overwritten_by_a_useless_one() -> None:
    learner, data = make_learner("ProtoNet"), toy_data(2, steps_per_experience=6)
    module = StreamModule(learner)
    checkpoint = StreamCheckpoint()
    callbacks = [Spoils(8), checkpoint, StopOnSignal(checkpoint)]
    settings: dict[str, Any] = {**QUIET, "max_epochs": -1, "enable_checkpointing": False, "limit_val_batches": 0}
    with pytest.raises(Stopped):
        L.Trainer(**settings, default_root_dir="own", callbacks=callbacks).fit(module, datamodule=data)
    state = torch.load("own/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 6
    assert all(torch.isfinite(w).all() for w in state["state_dict"].values() if w.is_floating_point())
