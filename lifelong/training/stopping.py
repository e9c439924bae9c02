"""Stopping by a signal: save after the next optimizer step, print how to resume, and exit with the signal's code."""

from __future__ import annotations

import signal
import subprocess
import threading
from types import FrameType
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from lifelong.training.checkpoint import StreamCheckpoint, is_finite
from lifelong.utilities.slurm import job_id

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
"""Signals that stop a run. Windows has no SIGUSR1; submitit sends SIGUSR2 to its jobs before their time limit."""


class Stopped(SystemExit):
    """End the process with the exit code that shells use for a signal: 128 plus its number."""


class StopOnSignal(L.Callback):
    """Save and stop on SIGTERM, SIGINT (Ctrl-C), SIGUSR1 or SIGUSR2; a second signal ends the process immediately.

    In training, the checkpoint is saved after the next optimizer step. An evaluation stops at its next batch and is
    repeated when the run resumes. Under SLURM with automatic requeueing, the signal also requeues the job.

    Args:
        checkpoint: the callback that saves checkpoints.
    """

    def __init__(self, checkpoint: StreamCheckpoint) -> None:
        self.checkpoint = checkpoint
        self._signal: int | None = None
        self._stops, self._is_done, self._steps_before = False, False, 0
        self._trainer: L.Trainer | None = None

    # Lightning installs its own handlers between the start of fit and these hooks, and restores all at the end.

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Install the signal handlers."""
        self._listen(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Install the signal handlers."""
        self._listen(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop if the previous batch was saved, or an experience has ended."""
        self._steps_before = trainer.global_step
        if batch_idx == 0:
            self._stops = self._stops or self._is_asked(trainer)
        if self._stops and (self._is_done or batch_idx == 0):
            self._stop(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save after an optimizer step; the process stops once loggers have written this batch."""
        self._stops = self._stops or self._is_asked(trainer)
        if self._stops and trainer.global_step > self._steps_before and not trainer.is_last_batch:
            if is_finite(pl_module):  # do not replace a good checkpoint by one with non-finite weights
                self.checkpoint.save_when_logged(trainer)
            self._is_done = True

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Stop the evaluation."""
        if self._signal is not None or self._stops:
            self._stop(trainer)

    def _listen(self, trainer: L.Trainer) -> None:
        self._trainer = trainer
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        for known in SIGNALS:
            signal.signal(known, signal.default_int_handler if known == signal.SIGINT else signal.SIG_DFL)
        launcher: Any = None if self._trainer is None else self._trainer.strategy.launcher
        if number != signal.SIGINT and hasattr(launcher, "kill"):  # a terminal sends Ctrl-C to all processes itself
            launcher.kill(number)

    def _is_asked(self, trainer: L.Trainer) -> bool:
        asked = self._signal is not None
        return asked if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(asked, all=False)

    def _stop(self, trainer: L.Trainer) -> None:
        number = self._signal or signal.SIGTERM
        if trainer.is_global_zero:
            last = self.checkpoint.last(trainer)
            way_on = (
                f"saved at step {self.checkpoint.saved_step}: go on with python -m lifelong fit --ckpt_path {last}"
                if self.checkpoint.saved_step is not None
                else "nothing saved yet: start it again"
            )
            print(f"\nstopped by {signal.Signals(number).name} after step {trainer.global_step}, {way_on}", flush=True)
            if self._is_requeued(trainer, number):
                requeue()
        raise Stopped(128 + number)

    @staticmethod
    def _is_requeued(trainer: L.Trainer, number: int) -> bool:
        # Lightning has no public name for it on a single device; without it, no job is requeued.
        connector = getattr(trainer, "_accelerator_connector", None)
        environment = getattr(connector, "cluster_environment", None)
        return (
            isinstance(environment, SLURMEnvironment)
            and environment.auto_requeue
            and number == (environment.requeue_signal or getattr(signal, "SIGUSR1", None))
        )


def requeue() -> None:
    """Ask SLURM to requeue this job, and print a message if it refuses."""
    job = job_id() or ""
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        problem = str(error)
    print(f"the job {job} was not requeued ({problem})" if problem else f"the job {job} is requeued", flush=True)
