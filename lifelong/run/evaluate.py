"""Evaluation of a trained module on its stream or another one: ``validate``, ``test`` and ``predict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.loggers import Logger

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.prediction_writer import PredictionWriter
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from lifelong.run.folder import launched_folder
from lifelong.run.labels import labels_of
from lifelong.run.loggers import WandB, placed
from lifelong.run.mirror import local_checkpoint
from lifelong.run.options import RunOptions, run_options
from lifelong.run.sentences import in_one_sentence
from lifelong.run.trainer import check_trainer_arguments, make_trainer
from lifelong.run.trainer_values import check_trainer_values
from lifelong.training.lost_process import with_others
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import quietly


def evaluate(
    command: str,
    module: StreamModule,
    data: StreamDataModule,
    *,
    run: RunOptions | str | Path | None = None,
    ckpt_path: str | None = None,
    config: Mapping[str, Any] | None = None,
    quiet: bool = False,
    **trainer: Any,
) -> Results | None:
    """Evaluate a module, and write the results to a run folder.

    Args:
        command: ``validate``, ``test`` or ``predict``.
        module: the learner with its strategies.
        data: the stream.
        run: the run folder, or the options that choose it. Default: the run folder of ``ckpt_path``, if that is set.
        ckpt_path: checkpoint to load first. If None, the module is evaluated as it is.
        config: configuration of the run to store in ``results.json``.
        quiet: print no progress bar, message or table. Warnings and errors are still shown, and all files are written.
        trainer: arguments of Lightning's Trainer. Without a ``logger``, nothing is logged.

    Returns:
        The results. None for ``predict``, which measures nothing.

    Raises:
        ValueError: when an argument or the checkpoint does not fit.
    """
    check_trainer_arguments(trainer)
    check_trainer_values(command, trainer)
    ckpt_path = None if ckpt_path is None else local_checkpoint(ckpt_path)
    options = run_options(run, "auto" if run is not None else "never", quiet=quiet)
    with quietly(options.quiet), launched_folder(options, ckpt_path) as folder:
        report = Report(folder.path, dict(config or {}))
        evaluator = Evaluator(report)
        callbacks: list[L.Callback] = [evaluator, PredictionWriter()]
        loggers = placed(_given_loggers(command, trainer), folder.path, labels_of(module, data, folder, command))
        made = make_trainer({**trainer, "logger": loggers or False}, callbacks, str(folder.path))
        for logger in made.loggers:
            logger.log_hyperparams(dict(config or {}))
        deed = getattr(made, command)
        extra = {} if command == "predict" else {"verbose": False}
        with with_others(), in_one_sentence():
            deed(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True, **extra)
        return evaluator.evaluation


def _given_loggers(command: str, trainer: Mapping[str, Any]) -> Logger | Sequence[Logger] | Literal[False]:
    """Return the loggers that were asked for: none by default, and none for ``predict``, which measures nothing."""
    given = trainer.get("logger")
    if command == "predict" or trainer.get("barebones") or not given:
        return False
    return WandB() if given is True else given
