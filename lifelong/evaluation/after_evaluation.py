"""What callbacks share that add something to the evaluations of ``fit``, ``validate`` and ``test``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import lightning as L

from lifelong.learners.base import Learner
from lifelong.run.folder import RunFolder


class AfterEvaluation(L.Callback):
    """Measures something after evaluations and tells it: at the end of ``fit``, at once in ``validate`` and ``test``.

    Abstract: subclasses say what is measured, and how it is told. The command line sets ``folder``, the run folder;
    without one nothing is written.
    """

    folder: RunFolder | None = None

    @abstractmethod
    def measure(self, trainer: L.Trainer, learner: Learner, part: str) -> None:
        """An evaluation on ``part`` (``val`` or ``test``) is over: measure, on every process."""

    @abstractmethod
    def tell(self, trainer: L.Trainer, learner: Learner) -> None:
        """Print what was measured last and where it lies; on the first process only."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After an experience, or a checkpoint's only evaluation; the untrained learner is left alone."""
        if not trainer.sanity_checking:
            self._measure(trainer, pl_module, trainer.datamodule.evaluate_on)  # type: ignore[attr-defined]

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After the evaluation on test tasks."""
        self._measure(trainer, pl_module, "test")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After the last experience."""
        self._tell(trainer, pl_module)

    def write(self, name: str, content: dict[str, Any], trainer: L.Trainer) -> None:
        """Write a JSON file into the run folder."""
        if self.folder is not None and trainer.is_global_zero:
            self.folder.write_json(name, content)

    def say_where(self, *names: str) -> None:
        """Print which files were written."""
        if self.folder is not None:
            for name in names:
                print(f"written: {self.folder.path / name}", flush=True)

    def _measure(self, trainer: L.Trainer, module: L.LightningModule, part: str) -> None:
        assert isinstance(module, Learner)
        with trainer.precision_plugin.forward_context():  # hooks run outside the Trainer's autocast
            self.measure(trainer, module, part)
        if trainer.state.fn != "fit":
            self._tell(trainer, module)

    def _tell(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Learner)
        if trainer.is_global_zero:
            self.tell(trainer, module)
