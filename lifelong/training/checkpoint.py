"""Checkpoints of a stream: one per experience, and ``last.ckpt``, from which a run resumes within an experience."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lifelong.utilities.checkpoint_file import replace_durably
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded


class StreamCheckpoint(Recorded, L.Callback):
    """Save ``last.ckpt`` every few steps and ``experience-NN.ckpt`` after each experience, each complete or absent.

    The files are in ``checkpoints`` below the Trainer's ``default_root_dir``.

    Args:
        every_n_steps: optimizer steps between two saves of ``last.ckpt``. With 0, it is saved only after each
            experience.
        keep_experiences: number of the newest ``experience-NN.ckpt`` to keep. If None, all are kept; in a long stream,
            each is as large as the model and the strategies' memory.

    Raises:
        ValueError: when a number is negative.
    """

    def __init__(self, *, every_n_steps: int = 100, keep_experiences: int | None = 2) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("keep_experiences", keep_experiences)):
            check_number(f"--checkpoint.{name}", value, least=0, whole=True)
        self.every_n_steps = every_n_steps
        self.keep_experiences = keep_experiences
        self._steps_before = 0
        self._ended: int | None = None
        self._unpublished: int | None = None
        self.saved_step: int | None = None
        """Optimizer steps in ``last.ckpt``. None if this run has not saved it and did not resume."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Rename the previous batch's checkpoint to ``last.ckpt``, and record the optimizer steps before this batch."""
        self._publish(trainer)
        self._steps_before = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an experience; the last step of an experience is saved after its evaluation.

        Checkpoints do not contain accumulated gradients, so none is saved between two optimizer steps.
        """
        n_steps = trainer.global_step
        is_due = n_steps > self._steps_before and self.every_n_steps and n_steps % self.every_n_steps == 0
        if is_due and not trainer.is_last_batch and is_finite(pl_module):
            self.save_when_logged(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save after an experience and the evaluation of its row of the matrix."""
        self._ended = trainer.current_epoch
        self.save_last(trainer)
        if trainer.is_global_zero:
            self._keep(trainer, self._ended)
        self._ended = None

    def state_dict(self) -> dict[str, Any]:
        """Return the experience after which the checkpoint was saved. None within an experience."""
        return {"ended": self._ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the experience after which the checkpoint was saved."""
        self._ended = state_dict["ended"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Create a missing ``experience-NN.ckpt``, if the run was killed after it had saved ``last.ckpt``."""
        self.saved_step, self._unpublished = trainer.global_step or None, None
        ended, self._ended = self._ended, None
        last = self.last(trainer)
        if ended is None or not trainer.is_global_zero or not last.is_file():
            return
        if Path(str(trainer.ckpt_path)).resolve() == last.resolve() and not _experience(trainer, ended).exists():
            self._keep(trainer, ended)

    def _keep(self, trainer: L.Trainer, number: int) -> None:
        """Keep ``last.ckpt`` also as the checkpoint of an experience, and remove the oldest ones."""
        if self.keep_experiences != 0:
            _link(self.last(trainer), _experience(trainer, number))
        if self.keep_experiences is not None:
            for old in range(number - self.keep_experiences, -1, -1):
                if not _experience(trainer, old).exists():
                    break
                _experience(trainer, old).unlink()

    def save_last(self, trainer: L.Trainer) -> None:
        """Save ``last.ckpt``, complete or not at all."""
        self.save_when_logged(trainer)
        self._publish(trainer)

    def save_when_logged(self, trainer: L.Trainer) -> None:
        """Save the current state, which becomes ``last.ckpt`` with the next batch, after loggers have written this one.

        A run that resumes from it does not repeat this step, so the step's row in the logs must not be lost.
        """
        trainer.save_checkpoint(_part(trainer), weights_only=False)
        self._unpublished = trainer.global_step

    def _publish(self, trainer: L.Trainer) -> None:
        if self._unpublished is None:
            return
        if trainer.is_global_zero:
            replace_durably(_part(trainer), self.last(trainer))
        self.saved_step, self._unpublished = self._unpublished, None

    @staticmethod
    def last(trainer: L.Trainer) -> Path:
        """Return the path of the newest checkpoint, whether it exists yet or not."""
        return _folder(trainer) / "last.ckpt"


def _part(trainer: L.Trainer) -> Path:
    return _folder(trainer) / ".last.ckpt.part"


def _experience(trainer: L.Trainer, number: int) -> Path:
    return _folder(trainer) / f"experience-{number:02d}.ckpt"


def _folder(trainer: L.Trainer) -> Path:
    folder = Path(trainer.default_root_dir) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _link(source: Path, target: Path) -> None:
    # last.ckpt is replaced by renaming and never modified, so a hard link keeps this state without further disk space.
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except (OSError, AttributeError, NotImplementedError):  # not every file system supports links
        shutil.copyfile(source, target)


def is_finite(module: L.LightningModule) -> bool:
    """Return whether all weights are finite."""
    # One combined check: the host waits only once for an accelerator.
    checks = [torch.isfinite(p).all() for p in module.parameters()]
    return not checks or bool(torch.stack(checks).all())
