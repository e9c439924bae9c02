"""What callbacks share that add something to the evaluations of ``fit``, ``validate`` and ``test``."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import lightning as L

from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.training.accessors import evaluation_part, stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.files import write_json


class AfterEvaluation(L.Callback):
    """Measure something after evaluations and print it: at the end of ``fit``, at once in ``validate`` and ``test``.

    Abstract: subclasses decide what is measured and what is printed. Files go to the Trainer's ``default_root_dir``,
    which is the run folder in a run.
    """

    @abstractmethod
    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Measure after an evaluation on a part (``val`` or ``test``); called on every process."""

    @abstractmethod
    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print what was measured last and where it was written; called on the first process only."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure after an experience, or after the only evaluation of a checkpoint; never the untrained learner."""
        if not trainer.sanity_checking:
            self._measure(trainer)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure after the evaluation on test tasks."""
        self._measure(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print at the end of the stream."""
        self._tell(trainer)

    def write(self, name: str, content: dict[str, Any], trainer: L.Trainer) -> None:
        """Write a JSON file, on the first process only."""
        if trainer.is_global_zero:
            write_json(folder_of(trainer) / name, content)

    def say_where(self, trainer: L.Trainer, *names: str) -> None:
        """Print which files were written."""
        for name in names:
            print(f"written: {folder_of(trainer) / name}", flush=True)

    def _measure(self, trainer: L.Trainer) -> None:
        with trainer.precision_plugin.forward_context():  # hooks run outside the Trainer's autocast
            self.measure(trainer, stream_module(trainer), evaluation_part(trainer))
        if trainer.state.fn != "fit":
            self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            self.tell(trainer, stream_module(trainer))


def folder_of(trainer: L.Trainer) -> Path:
    """Return the folder that a Trainer's files go to."""
    return Path(trainer.default_root_dir)


def title_of(module: StreamModule) -> str:
    """Return the names of learner and strategies, for titles."""
    return f"{type(module.learner).__name__}, {' + '.join(module.strategies.names) or 'no strategy'}"


def is_last_evaluation(trainer: L.Trainer) -> bool:
    """Tell whether the evaluation that runs now is the last one: in ``fit`` that of the last experience."""
    if trainer.state.fn != "fit":
        return True
    return not trainer.sanity_checking and trainer.current_epoch + 1 >= stream_data(trainer).n_experiences_due
