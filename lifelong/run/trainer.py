"""The Trainer of a run: Lightning's, with the defaults of a stream and without warnings that do not apply."""

from __future__ import annotations

import difflib
import inspect
import logging
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint, ProgressBar

from lifelong.run.launch import check_processes
from lifelong.run.progress import StreamProgress
from lifelong.run.sentences import in_one_sentence
from lifelong.training.checkpoint_io import WholeCheckpointIO
from lifelong.training.sharding import check_not_sharded
from lifelong.utilities.quiet import is_quiet

DEFAULTS: dict[str, Any] = {
    "max_epochs": -1,  # the stream module ends the stream
    "enable_checkpointing": False,  # StreamCheckpoint saves checkpoints
    "enable_model_summary": False,
    "num_sanity_val_steps": -1,  # evaluate the untrained learner completely
    "inference_mode": False,  # learners also take gradient steps in evaluation
    "use_distributed_sampler": False,  # the loaders of a stream shard themselves
    "log_every_n_steps": 10,
}
"""Settings that differ from Lightning's defaults."""

BAREBONES = {"log_every_n_steps": None, "num_sanity_val_steps": None, "enable_progress_bar": False}
"""Settings of the Trainer's ``barebones`` mode, which also omits the row of the untrained learner."""

NOISE = (
    ".*does not have many workers.*",  # tasks are drawn by index in microseconds
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*module\\(s\\) in eval mode at the start of training.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*when using `ckpt_path`, callbacks used to create the checkpoint need to be provided.*",  # not to evaluate
    ".*`LightningModule.configure_optimizers` returned `None`.*",
    ".*`lightning.pytorch` package.*litlogger.*",
    ".*torch.distributed.nn.functional.all_gather is deprecated.*",  # Lightning uses it
    "(?s).*Grad strides do not match.*grad.sizes\\(\\) = \\[\\d+, 1,",  # one channel: both strides are the same layout
    # Our metrics are gathered before they are logged, so they are equal on all ranks.
    ".*`self.log\\('(val|test)/(score|\\w+_score|forgetting|\\w+_transfer|closed_loop|adjusted_rand_index|"
    "normalised_mutual_information).*sync_dist=True.*",
)
"""Warnings of Lightning and torch that do not apply to training on a stream."""


def check_trainer_arguments(arguments: Iterable[str]) -> None:
    """Refuse arguments that Lightning's Trainer does not have.

    Raises:
        ValueError: naming the argument and the most similar one that exists.

    Example:
        >>> check_trainer_arguments(["max_epochs", "devices"])
    """
    known = list(inspect.signature(L.Trainer).parameters)
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "its arguments are those of lightning.Trainer"
            raise ValueError(f"fit has no argument {name}, and neither has the Trainer: {hint}")


def make_trainer(arguments: Mapping[str, Any], callbacks: Iterable[L.Callback], folder: str) -> L.Trainer:
    """Create the Trainer of a run.

    Args:
        arguments: arguments of Lightning's Trainer, which override ``DEFAULTS``.
        callbacks: callbacks of the run, which precede the user's.
        folder: the run folder.

    Raises:
        ValueError: when it would use more processes than there are cores, another number of processes than were
            started, or sharded weights.
    """
    check_not_sharded(arguments.get("strategy"))
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_concerns_a_person)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    settings = DEFAULTS | dict(arguments) | {"default_root_dir": folder}
    given = settings.get("callbacks") or []
    users = list(given) if isinstance(given, (list, tuple)) else [given]
    if is_quiet() and not any(isinstance(callback, ProgressBar) for callback in users):
        settings["enable_progress_bar"] = False
    shows_progress = settings.get("enable_progress_bar") is not False
    # The bar comes first, so that it is closed before other callbacks print.
    bar = [StreamProgress()] if shows_progress and not any(isinstance(c, ProgressBar) for c in users) else []
    plugins = settings.get("plugins") or []
    plugins = list(plugins) if isinstance(plugins, (list, tuple)) else [plugins]
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins.append(WholeCheckpointIO())
    if settings.get("barebones"):
        settings |= BAREBONES
        bar = []
    if any(isinstance(callback, Checkpoint) for callback in users):
        settings["enable_checkpointing"] = True
    with in_one_sentence("the Trainer cannot be made: "):
        trainer = L.Trainer(**(settings | {"callbacks": [*bar, *callbacks, *users], "plugins": plugins}))
    check_processes(trainer)
    return trainer


def _concerns_a_person(record: logging.LogRecord) -> bool:
    """Return False for advertisements, and for messages about devices that this machine does not have."""
    message = record.getMessage()
    return "Tip:" not in message and not message.startswith(("GPU available: False", "TPU available: False"))
