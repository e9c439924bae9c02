"""The configuration of a run, as written to ``config.yaml``, recorded from the run's objects."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import yaml

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.run.folder import RunFolder
from lifelong.run.trainer import DEFAULTS
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.plain_yaml import read_yaml
from lifelong.utilities.recording import record


@dataclass(frozen=True)
class Configuration:
    """Hold what is needed to create the objects of a run again.

    Args:
        content: options by name, as plain data.
        unrecorded: names of the objects that could not be recorded.
    """

    content: dict[str, Any]
    unrecorded: Sequence[str] = ()

    def header(self) -> str:
        """Return the comment at the top of the file, which names the missing parts."""
        if not self.unrecorded:
            return ""
        missing = ", ".join(self.unrecorded)
        return f"# Made in Python by objects that do not record how they were made: {missing}.\n"

    def write(self, folder: RunFolder) -> None:
        """Write ``config.yaml`` of a run."""
        text = self.header() + yaml.safe_dump(self.content, sort_keys=False, allow_unicode=True)
        folder.write("config.yaml", lambda path: path.write_text(text, encoding="utf-8"))


def read_config(folder: RunFolder) -> dict[str, Any]:
    """Read the ``config.yaml`` of a run."""
    return dict(read_yaml(folder.config) or {})


def describe(
    module: StreamModule, data: StreamDataModule, checkpoint: StreamCheckpoint, trainer: Mapping[str, Any]
) -> Configuration:
    """Record how the objects of a run were created, in the form of a config of the command line.

    Args:
        module: the learner with its strategies and the optimizer.
        data: the stream.
        checkpoint: the callback that saves checkpoints.
        trainer: arguments of the Trainer.
    """
    unrecorded: list[str] = []
    data_record = record(data, "data", unrecorded)
    data_record["init_args"].pop("seed", None)
    parts = module.describe_parts(unrecorded)
    content = {
        "seed": data.seed,
        "model": parts.pop("model"),
        "data": data_record,
        **parts,
        "checkpoint": record(checkpoint, "checkpoint", unrecorded)["init_args"],
        "trainer": _describe_trainer(trainer, unrecorded),
    }
    return Configuration(content, tuple(unrecorded))


def describe_longer(config: Mapping[str, Any], data: StreamDataModule, trainer: Mapping[str, Any]) -> Configuration:
    """Record a run that continues with a longer stream: its config so far, with the stream replaced.

    Args:
        config: configuration of the run so far.
        data: the longer stream.
        trainer: arguments of the Trainer that are set anew.
    """
    unrecorded: list[str] = []
    data_record = record(data, "data", unrecorded)
    data_record["init_args"].pop("seed", None)
    given = {name: record(value, f"trainer.{name}", unrecorded) for name, value in trainer.items()}
    content = {**config, "data": data_record, "trainer": {**config.get("trainer", {}), **given}}
    return Configuration(content, tuple(unrecorded))


def _describe_trainer(trainer: Mapping[str, Any], unrecorded: list[str]) -> dict[str, Any]:
    defaults = {name: p.default for name, p in inspect.signature(L.Trainer).parameters.items()}
    logger = {"class_path": "lifelong.run.loggers.WandB", "init_args": {}}
    every = defaults | DEFAULTS | {"logger": logger, "callbacks": []} | dict(trainer) | {"default_root_dir": None}
    return {name: record(value, f"trainer.{name}", unrecorded) for name, value in every.items()}
