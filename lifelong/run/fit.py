"""``lifelong.fit``: learn a stream, with a run folder, checkpoints, loggers and progress around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch.loggers import Logger

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from lifelong.learners.base import Learner
from lifelong.run.configuration import Configuration, describe
from lifelong.run.folder import RunFolder, launched_folder
from lifelong.run.loggers import MetricsCSV, WandB
from lifelong.run.options import Resume, RunOptions, run_options
from lifelong.run.run import Run
from lifelong.run.trainer import check_trainer_arguments, make_trainer
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.optimizer import LRSchedulerCallable, OptimizerCallable
from lifelong.training.stopping import StopOnSignal
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.checkpoint_file import newest_whole, read_checkpoint


def fit(
    learner: Learner,
    data: StreamDataModule,
    *,
    strategies: Sequence[Strategy] = (),
    optimizer: OptimizerCallable = torch.optim.Adam,
    lr_scheduler: LRSchedulerCallable | None = None,
    reset_optimizer: bool = False,
    runner: TaskRunner | None = None,
    run: RunOptions | str | Path | None = None,
    resume: Resume = "never",
    ckpt_path: str | Path | None = None,
    seed: int | None = None,
    checkpoint: StreamCheckpoint | None = None,
    config: Mapping[str, Any] | None = None,
    **trainer: Any,
) -> Run:
    """Learn a stream, experience by experience, and evaluate after each; all that ``python -m lifelong fit`` does.

    Call ``lifelong.seed_everything(seed)`` before the network is made, so that its weights repeat as well.

    Args:
        learner: what is trained.
        data: the stream.
        strategies: plug-ins against forgetting; none is plain fine-tuning.
        optimizer: makes the outer optimizer, such as ``functools.partial(torch.optim.Adam, lr=1e-3)``.
        lr_scheduler: makes its learning-rate schedule, which moves on after every step; None keeps the rate.
        reset_optimizer: forget the optimizer's state at the start of each experience.
        runner: how the tasks of a batch are run.
        run: the run folder; ``runs/<time>`` where None.
        resume: ``auto`` goes on from the last checkpoint in ``run`` where there is one, ``must`` refuses to start.
        ckpt_path: go on from this checkpoint.
        seed: decides the training tasks; the data's own where None.
        checkpoint: how often checkpoints are saved.
        config: what ``config.yaml`` says; made from the objects themselves where None.
        trainer: arguments of Lightning's Trainer by keyword, such as ``accelerator="cpu"``.

    Returns:
        The run: its results, the trained learner, and ways to evaluate it further.

    Raises:
        ValueError: when settings do not fit together, in one sentence with the way out.

    Example:
        >>> import lifelong, tempfile
        >>> from datamodules import EpisodicDataModule, Glyphs
        >>> from lifelong.learners import ProtoNet
        >>> from lifelong.networks import MLP
        >>> lifelong.seed_everything(0, verbose=False)
        0
        >>> glyphs = Glyphs(styles=["strokes"], n_classes=24, n_examples=10, image_size=8)
        >>> data = EpisodicDataModule([glyphs], n_way=3, n_shot=1, n_query=2, steps_per_experience=2, n_eval_tasks=3)
        >>> learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
        >>> run = lifelong.fit(learner, data, run=tempfile.mkdtemp() + "/run", logger=False)  # doctest: +ELLIPSIS
        experience 1/1 'strokes' learnt ...
        >>> run.matrix.shape
        (1, 1)
    """
    check_trainer_arguments(trainer)
    if seed is not None:
        data.reseed(seed)
    module = StreamModule(
        learner,
        strategies,
        optimizer=optimizer,
        lr_scheduler=lr_scheduler,
        reset_optimizer=reset_optimizer,
        runner=runner,
    )
    checkpoint = checkpoint or StreamCheckpoint()
    described = describe(module, data, checkpoint, trainer)
    configuration = described if config is None else Configuration(dict(config))
    options, given = run_options(run, resume), None if ckpt_path is None else str(ckpt_path)
    with launched_folder(options, given, trains=True) as folder:
        start = given or _start_from(folder, options)
        results = _train(module, data, folder, checkpoint, configuration, start, trainer)
    module.eval()
    return Run(
        folder.path, module, results, data=data, config=configuration.content, trainer=_trainer_arguments(trainer)
    )


def _train(
    module: StreamModule,
    data: StreamDataModule,
    folder: RunFolder,
    checkpoint: StreamCheckpoint,
    configuration: Configuration,
    start: str | None,
    trainer: Mapping[str, Any],
) -> Results | None:
    evaluator = Evaluator(Report(folder.path, configuration.content))
    settings = dict(trainer)
    settings["logger"] = _loggers(settings.pop("logger", None), folder, start)
    if start is not None:
        settings["num_sanity_val_steps"] = 0  # the learner is not untrained any more
    made = make_trainer(settings, [evaluator, checkpoint, StopOnSignal(checkpoint)], str(folder.path))
    if made.is_global_zero and not folder.config.exists():
        text = configuration.header() + yaml.safe_dump(configuration.content, sort_keys=False, allow_unicode=True)
        folder.write("config.yaml", lambda path: path.write_text(text, encoding="utf-8"))
    for logger in made.loggers:
        logger.log_hyperparams(configuration.content)
    made.fit(module, datamodule=data, ckpt_path=start, weights_only=True)
    return evaluator.results if evaluator.rows else None


def _loggers(given: Any, folder: RunFolder, start: str | None) -> list[Logger]:
    """The loggers that are asked for, W&B where nothing is said, and ``metrics.csv``."""
    if given is None or given is True:
        given = WandB()
    loggers = [] if given is False else list(given) if isinstance(given, (list, tuple)) else [given]
    for logger in loggers:
        if isinstance(logger, WandB):
            logger.place(folder.path)
    n_done = None if start is None else int(read_checkpoint(start)["global_step"])
    return [*loggers, MetricsCSV(folder, start_step=n_done)]


def _start_from(folder: RunFolder, options: RunOptions) -> str | None:
    """The checkpoint to go on from; None starts."""
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


def _trainer_arguments(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What a later evaluation of the run takes along: where it ran, and not how it was trained."""
    return {name: trainer[name] for name in ("accelerator", "devices", "precision", "strategy") if name in trainer}
