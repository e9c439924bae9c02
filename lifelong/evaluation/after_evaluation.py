"""Base class of callbacks that measure something after the evaluations of ``fit``, ``validate`` and ``test``."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.logged import log_picture
from lifelong.evaluation.plots import save_figure
from lifelong.evaluation.setting_of import setting_of
from lifelong.training.accessors import evaluation_part, stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.files import write_json
from lifelong.utilities.quiet import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class AfterEvaluation(L.Callback):
    """Measure after evaluations, and print at the end of ``fit`` or directly in ``validate`` and ``test``.

    This class is abstract: subclasses define what is measured and printed. Files are written to the Trainer's
    ``default_root_dir``, which is the run folder if there is one.
    """

    @abstractmethod
    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Measure after an evaluation on a part (``val`` or ``test``); called on every process."""

    @abstractmethod
    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print the last measurement and the paths of its files; called on the first process only."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure after each experience, or after the evaluation of a checkpoint; skip the untrained learner."""
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

    def draw(self, figure: Figure, name: str, file: str, trainer: L.Trainer) -> None:
        """Write a figure to a file, and send it to all loggers.

        Args:
            figure: the figure; it is cleared afterwards.
            name: name of the figure in the loggers.
            file: name of the file in the folder.
            trainer: the Trainer; only its first process writes.
        """
        path = folder_of(trainer) / file
        save_figure(figure, path)
        step = max(trainer.global_step - 1, 0) if trainer.state.fn == "fit" else None  # the same step as the scalars
        for logger in trainer.loggers:
            log_picture(logger, name, path, step)

    def say_where(self, trainer: L.Trainer, *names: str) -> None:
        """Print the paths of the files that were written."""
        for name in names:
            say(f"written: {folder_of(trainer) / name}")

    def _measure(self, trainer: L.Trainer) -> None:
        with trainer.precision_plugin.forward_context():  # hooks run outside the Trainer's autocast
            self.measure(trainer, stream_module(trainer), evaluation_part(trainer))
        if trainer.state.fn != "fit":
            self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            self.tell(trainer, stream_module(trainer))


def folder_of(trainer: L.Trainer) -> Path:
    """Return the folder to which a Trainer writes its files."""
    return Path(trainer.default_root_dir)


def title_of(trainer: L.Trainer, evaluation: str = "") -> str:
    """Return the title of a figure: run, learner and strategies, and the data in a second line.

    Args:
        trainer: the Trainer. The run's name is taken from its Evaluator, and left out if it has none.
        evaluation: what the figure shows; empty if it shows the whole evaluation.
    """
    setting = setting_of(trainer)
    setting = replace(setting, evaluation=evaluation or setting.evaluation)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Evaluator) and callback.report is not None:
            return callback.report.title(setting)
    return setting.title_of("")


def is_last_evaluation(trainer: L.Trainer) -> bool:
    """Return whether the current evaluation is the last one; in ``fit`` that is the one after the last experience."""
    if trainer.state.fn != "fit":
        return True
    return not trainer.sanity_checking and trainer.current_epoch + 1 >= stream_data(trainer).n_experiences_due
