"""Train a stream module in a run folder: checkpoints, loggers, progress and results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from lifelong.pages.report_page import write_report
from lifelong.run.changes import changed_settings, check_unchanged, without_sources
from lifelong.run.configuration import Configuration, read_config
from lifelong.run.extension import say_what_is_learnt
from lifelong.run.folder import RunFolder, launched_folder
from lifelong.run.labels import RunLabels, labels_of
from lifelong.run.launch import decided_by_first
from lifelong.run.loggers import WandB, placed
from lifelong.run.metrics_csv import MetricsCSV
from lifelong.run.mirror import CopyCheckpoints, local_checkpoint
from lifelong.run.options import RunOptions
from lifelong.run.progress import told_above_the_bar
from lifelong.run.sentences import in_one_sentence
from lifelong.run.trainer import check_trainer_arguments, make_trainer
from lifelong.run.trainer_values import check_trainer_values
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.lost_process import with_others
from lifelong.training.stopping import StopOnSignal
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.checkpoint_file import newest_whole, read_run_checkpoint
from lifelong.utilities.quiet import quietly


def train(
    module: StreamModule,
    data: StreamDataModule,
    options: RunOptions,
    ckpt_path: str | None,
    checkpoint: StreamCheckpoint,
    configuration: Configuration,
    trainer: Mapping[str, Any],
    *,
    extends: bool = False,
) -> tuple[Path, Results]:
    """Train a stream module on its stream, and leave it in evaluation mode.

    Args:
        module: the module to train.
        data: the stream.
        options: how the run folder is chosen.
        ckpt_path: continue from this checkpoint. If None, the options decide.
        checkpoint: callback that saves checkpoints.
        configuration: content of ``config.yaml``.
        trainer: arguments of Lightning's Trainer.
        extends: whether the checkpoint has learnt a shorter stream; ``config.yaml`` is replaced by that of the longer
            one.

    Returns:
        The run folder and the results.

    Raises:
        ValueError: when settings do not fit together, or the run ended before anything was measured.
    """
    check_trainer_arguments(trainer)
    check_trainer_values("fit", trainer)
    given = None if ckpt_path is None else local_checkpoint(ckpt_path)
    with quietly(options.quiet), launched_folder(options, given, trains=True) as folder:
        start = decided_by_first(lambda: _start(folder, options, given, configuration, extends))
        start = folder.at_hand(start)
        goes_on_otherwise = options.allow_changes and start is not None and _changes(folder, configuration)
        if extends:
            say_what_is_learnt(data)
            _check_limits(trainer, data)
        labels = labels_of(module, data, folder, "extend" if extends else "fit", goes_on=start is not None)
        report = Report(folder.path, configuration.content, write_report if options.report else None)
        changes = extends or goes_on_otherwise
        results = _fit(module, data, folder, labels, checkpoint, configuration, start, trainer, report, changes)
    module.eval()
    return folder.path, results


class KeepConfig(L.Callback):
    """Write the config of a longer stream or of changed settings once training has begun, and keep the previous one.

    Args:
        folder: the run folder.
        configuration: configuration with which the run continues.
    """

    def __init__(self, folder: RunFolder, configuration: Configuration) -> None:
        self.folder, self.configuration = folder, configuration
        self._is_kept = False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Write the config before the first step, after which the run is not refused any more."""
        if self._is_kept or not trainer.is_global_zero:
            return
        self._is_kept = True
        before = self.folder.path / f"config-{trainer.current_epoch:02d}.yaml"
        if not before.exists():
            before.write_bytes(self.folder.config.read_bytes())
        self.configuration.write(self.folder)


def _fit(
    module: StreamModule,
    data: StreamDataModule,
    folder: RunFolder,
    labels: RunLabels,
    checkpoint: StreamCheckpoint,
    configuration: Configuration,
    start: str | None,
    trainer: Mapping[str, Any],
    report: Report,
    changes: bool,
) -> Results:
    evaluator = Evaluator(report)
    callbacks: list[L.Callback] = [evaluator, checkpoint, StopOnSignal(checkpoint)]
    if changes:
        callbacks.append(KeepConfig(folder, configuration))
    if folder.mirror is not None:
        callbacks.append(CopyCheckpoints(folder.mirror, checkpoint))
    settings = dict(trainer)
    given = settings.pop("logger", None)
    settings["logger"] = False if settings.get("barebones") else _loggers(given, folder, labels, start)
    if start is not None:
        settings["num_sanity_val_steps"] = 0  # the learner is no longer untrained
    made = make_trainer(settings, callbacks, str(folder.path))
    data.check_processes(made.world_size)
    if made.is_global_zero and not folder.config.exists():
        configuration.write(folder)
    for logger in made.loggers:
        logger.log_hyperparams(configuration.content)
    with with_others(), in_one_sentence(), told_above_the_bar():
        made.fit(module, datamodule=data, ckpt_path=start, weights_only=True)
    if not evaluator.rows:
        raise ValueError(
            "the run ended before an experience was learnt and evaluated, so there is no accuracy matrix: give it more "
            "time (--trainer.max_time), or leave out what ends it (--trainer.callbacks)"
        )
    return evaluator.results.of_run(folder.name, configuration.content)


def _check_limits(trainer: Mapping[str, Any], data: StreamDataModule) -> None:
    """Refuse limits of the Trainer that end the run before its new experiences."""
    n_experiences = len(data.stream.experiences)
    for name, needed in (("max_epochs", n_experiences), ("max_steps", n_experiences * data.steps_per_experience)):
        limit = trainer.get(name)
        if limit is not None and 0 <= limit < needed:
            raise ValueError(
                f"--trainer.{name} {limit} ends the stream before its new experiences are learnt: set it to -1"
            )


def _start(
    folder: RunFolder, options: RunOptions, given: str | None, configuration: Configuration, extends: bool
) -> str | None:
    """Return the checkpoint to continue from, after checking the settings. None starts a new run."""
    start = given or _start_from(folder, options)
    if start is None or options.allow_changes or not folder.config.is_file():
        return start
    before, now = read_config(folder), configuration.content
    if extends:
        before, now = without_sources(before), without_sources(now)
    check_unchanged(before, now, str(folder.path))
    return start


def _changes(folder: RunFolder, configuration: Configuration) -> bool:
    return folder.config.is_file() and bool(changed_settings(read_config(folder), configuration.content))


def _loggers(given: Any, folder: RunFolder, labels: RunLabels, start: str | None) -> list[Logger]:
    """Return the given loggers, or W&B by default, and the logger of ``metrics.csv``."""
    loggers = placed(WandB() if given is None or given is True else given, folder.path, labels)
    n_done = None if start is None else int(read_run_checkpoint(start)["global_step"])
    return [*loggers, MetricsCSV(folder, start_step=n_done)]


def _start_from(folder: RunFolder, options: RunOptions) -> str | None:
    """Return the checkpoint to continue from. None starts a new run."""
    if options.resume == "never":
        return None
    if newest := newest_whole(folder.checkpoints):
        return str(newest)
    if any(folder.checkpoints.glob("*.ckpt")):
        raise ValueError(
            f"no checkpoint in {folder.checkpoints} is whole: start the run again under another --run.name"
        )
    if options.resume == "must":
        last = folder.last_checkpoint
        raise ValueError(f"--run.resume must found no {last}: start the run with --run.resume never or auto")
    return None
