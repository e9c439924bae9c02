"""``lifelong.fit``: learn a stream, with a run folder, checkpoints, loggers and a progress bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from lifelong.run.configuration import Configuration, describe
from lifelong.run.options import Resume, RunOptions, check_seed, run_options
from lifelong.run.run import Run
from lifelong.run.train import train
from lifelong.run.trainer import check_trainer_arguments
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.optimizer import LRSchedulerCallable, OptimizerCallable
from lifelong.training.stream_module import StreamModule


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
    allow_changes: bool = False,
    report: bool = True,
    quiet: bool = False,
    ckpt_path: str | Path | None = None,
    seed: int | None = None,
    checkpoint: StreamCheckpoint | None = None,
    config: Mapping[str, Any] | None = None,
    extends: bool = False,
    **trainer: Any,
) -> Run:
    """Learn a stream, experience by experience, and evaluate after each; ``python -m lifelong fit`` does the same.

    Call ``lifelong.seed_everything(seed)`` before the network is created, so that its initial weights are reproducible.

    Args:
        learner: the learner to train.
        data: the stream.
        strategies: plug-ins against forgetting. Without any, this is plain fine-tuning.
        optimizer: creates the outer optimizer, such as ``functools.partial(torch.optim.Adam, lr=1e-3)``.
        lr_scheduler: creates its learning-rate schedule, which is stepped after every optimizer step. Default: a
            constant rate.
        reset_optimizer: reset the optimizer's state at the start of each experience.
        runner: how the tasks of a batch are run.
        run: the run folder. Default: ``runs/<time>``.
        resume: ``auto`` continues from the last checkpoint in ``run`` if there is one; ``must`` requires one; ``never``
            starts a new run.
        allow_changes: continue a run even if its settings have changed, which is refused otherwise.
        report: write ``report.html`` to the run folder at the end, a self-contained page of about 5 MB.
        quiet: print no progress bar, message or table. Warnings and errors are still shown, and all files are written.
        ckpt_path: continue from this checkpoint.
        seed: seed of the training tasks. Default: the seed of ``data``.
        checkpoint: callback that saves checkpoints, and how often.
        config: content of ``config.yaml``. Default: recorded from the objects.
        extends: whether ``ckpt_path`` belongs to a finished run with a shorter stream, whose ``config.yaml`` is
            replaced.
        trainer: keyword arguments of Lightning's Trainer, such as ``accelerator="cpu"``.

    Returns:
        The run: its results, the trained learner, and methods for further evaluation.

    Raises:
        ValueError: when settings do not fit together, in one sentence that names a solution.

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
    check_seed(seed)
    if seed is not None:
        data.reseed(seed)
    module = StreamModule(
        learner,
        strategies,
        optimizer=optimizer,
        lr_scheduler=lr_scheduler,
        reset_optimizer=reset_optimizer,
        runner=runner,
        config=config,
    )
    checkpoint = checkpoint or StreamCheckpoint()
    described = describe(module, data, checkpoint, trainer)
    configuration = described if config is None else Configuration(dict(config))
    given = None if ckpt_path is None else str(ckpt_path)
    options = run_options(run, resume, allow_changes=allow_changes, report=report, quiet=quiet)
    folder, results = train(module, data, options, given, checkpoint, configuration, trainer, extends=extends)
    return Run(folder, module, results, data=data, config=configuration.content, trainer=trainer)
