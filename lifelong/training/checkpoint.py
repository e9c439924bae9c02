"""Checkpoints of a stream: one per experience, and ``last.ckpt`` from which a run goes on in the middle of one."""

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
    """Save ``last.ckpt`` every few steps and ``experience-NN.ckpt`` after each experience, whole or not at all.

    They lie in ``checkpoints`` of the Trainer's ``default_root_dir``.

    Args:
        every_n_steps: optimizer steps between two saves of ``last.ckpt``; 0 saves only after each experience.
        keep_experiences: so many of the newest ``experience-NN.ckpt`` stay, to fall back on; None keeps them all, of a
            long stream each as large as the model and what strategies remember.

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
        """The optimizer steps in ``last.ckpt``; None where this run has saved none and started from none."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Let the checkpoint of the batch before count; note how many optimizer steps were made before this batch."""
        self._publish(trainer)
        self._steps_before = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save in the middle of an experience; its last step is saved after its evaluation.

        Gradients that wait for an optimizer step are in no checkpoint, so none is saved between two of them.
        """
        n_steps = trainer.global_step
        is_due = n_steps > self._steps_before and self.every_n_steps and n_steps % self.every_n_steps == 0
        if is_due and not trainer.is_last_batch and is_finite(pl_module):
            self.save_when_logged(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save after an experience and its row of the matrix."""
        self._ended = trainer.current_epoch
        self.save_last(trainer)
        if trainer.is_global_zero:
            self._keep(trainer, self._ended)
        self._ended = None

    def state_dict(self) -> dict[str, Any]:
        """Note the experience that the checkpoint was saved after; None in the middle of one."""
        return {"ended": self._ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Know the experience that the checkpoint was saved after."""
        self._ended = state_dict["ended"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make up for the checkpoint of an experience, where a run ended between ``last.ckpt`` and its second name."""
        self.saved_step, self._unpublished = trainer.global_step or None, None
        ended, self._ended = self._ended, None
        last = self.last(trainer)
        if ended is None or not trainer.is_global_zero or not last.is_file():
            return
        if Path(str(trainer.ckpt_path)).resolve() == last.resolve() and not _experience(trainer, ended).exists():
            self._keep(trainer, ended)

    def _keep(self, trainer: L.Trainer, number: int) -> None:
        """Keep ``last.ckpt`` as that of an experience, and let go of those that are too many."""
        if self.keep_experiences != 0:
            _link(self.last(trainer), _experience(trainer, number))
        if self.keep_experiences is not None:
            for old in range(number - self.keep_experiences, -1, -1):
                if not _experience(trainer, old).exists():
                    break
                _experience(trainer, old).unlink()

    def save_last(self, trainer: L.Trainer) -> None:
        """Save ``last.ckpt``, whole or not at all."""
        self.save_when_logged(trainer)
        self._publish(trainer)

    def save_when_logged(self, trainer: L.Trainer) -> None:
        """Save ``last.ckpt`` as of now; it counts from the next batch on, when loggers have written this one.

        Who goes on from it does not take this step again, and its row must not be lost.
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
        """Return where the newest checkpoint lies, once there is one."""
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
    # last.ckpt is replaced by renaming, never written into, so a second name for it keeps this state for no bytes.
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except (OSError, AttributeError, NotImplementedError):  # not every file system has links
        shutil.copyfile(source, target)


def is_finite(module: L.LightningModule) -> bool:
    """Tell whether all weights are finite numbers."""
    # One look at all of them: an accelerator is waited for once.
    checks = [torch.isfinite(p).all() for p in module.parameters()]
    return not checks or bool(torch.stack(checks).all())
