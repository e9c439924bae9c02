"""Renamed options, class paths and settings: the old name gives an error that names the new one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

OPTIONS = {
    "seed_everything": "seed",
    "model.outer.optimizer": "optimizer",
    "model.outer.scheduler": "lr_scheduler",
    "model.outer.reset_optimizer": "reset_optimizer",
    "model.outer.mapping": "runner.plan",
    "model.outer.chunk": "runner.chunk",
    "model.outer.cuda_graph": "runner.cuda_graph",
    "model.outer.recompute": "runner.recompute",
    "strategies.budget_examples": "strategies.budget.examples",
    "strategies.budget_bytes": "strategies.budget.bytes",
    "strategies.budget_per_class": "strategies.budget.per_class",
    "texts.query": "query (of predict)",
    "texts.support": "support (of predict)",
    "texts.text_column": "text_column (of predict)",
    "texts.label_column": "label_column (of predict)",
    "texts.charset": "charset (of predict)",
}
"""Maps the old name of an option to the new one; a suffix such as ``.lr`` is kept."""
PATHS = {
    "datamodules.idx.FashionMNIST": "datamodules.FashionMNIST",
    "datamodules.idx.MNIST": "datamodules.MNIST",
    "datamodules.learn2learn.Learn2LearnTasks": "datamodules.Learn2LearnTasks",
    "datamodules.semeval.SemEval2017": "datamodules.SemEval2017",
    "lifelong.batch.Episode": "lifelong.Episode",
    "lifelong.batch.Task": "lifelong.Task",
    "lifelong.checkpoint.StreamCheckpoint": "lifelong.training.checkpoint.StreamCheckpoint",
    "lifelong.control.controller.Imitation": "lifelong.control.Imitation",
    "lifelong.control.controller.ModelPredictive": "lifelong.control.ModelPredictive",
    "lifelong.control.controller.ModelSpace": "lifelong.control.ModelSpace",
    "lifelong.control.planning.CEM": "lifelong.control.CEM",
    "lifelong.control.planning.MPPI": "lifelong.control.MPPI",
    "lifelong.control.planning.Planner": "lifelong.control.Planner",
    "lifelong.control.source.ControlSource": "lifelong.control.ControlSource",
    "lifelong.datamodule.EpisodicDataModule": "datamodules.EpisodicDataModule",
    "lifelong.examples.ExampleDataModule": "datamodules.ExampleDataModule",
    "lifelong.fading.Fading": "lifelong.data.fading.Fading",
    "lifelong.learner.Learner": "lifelong.Learner",
    "lifelong.learners.convex.MetaOptNet": "lifelong.learners.MetaOptNet",
    "lifelong.learners.gradient.GradientLearner": "lifelong.learners.gradient_learner.GradientLearner",
    "lifelong.learners.matching.MatchingNet": "lifelong.learners.MatchingNet",
    "lifelong.learners.prototypical.ProtoNet": "lifelong.learners.ProtoNet",
    "lifelong.learners.relation.RelationNet": "lifelong.learners.RelationNet",
    "lifelong.learners.ridge.R2D2": "lifelong.learners.R2D2",
    "lifelong.learners.transductive_prototypical.TransductiveProtoNet": "lifelong.learners.TransductiveProtoNet",
    "lifelong.loggers.MetricsCSV": "lifelong.run.metrics_csv.MetricsCSV",
    "lifelong.loggers.WandB": "lifelong.run.loggers.WandB",
    "lifelong.networks.pretrained_backbone.Timm": "lifelong.networks.Timm",
    "lifelong.networks.split.WithHead": "lifelong.networks.WithHead",
    "lifelong.objective.Objective": "lifelong.learners.objective.Objective",
    "lifelong.one_vs_rest.OneVsRest": "lifelong.learners.one_vs_rest.OneVsRest",
    "lifelong.outer.OuterLoop": "lifelong.TaskRunner and --optimizer",
    "lifelong.progress.StreamProgress": "lifelong.run.progress.StreamProgress",
    "lifelong.stream.Domain": "lifelong.Domain",
    "lifelong.stream.Source": "lifelong.Source",
    "lifelong.streaming.StreamDataModule": "lifelong.data.stream_datamodule.StreamDataModule",
    "strategies.example_memory.ExampleMemory": "strategies.memory.example_memory.ExampleMemory",
    "strategies.memory.Memory": "strategies.memory.base.Memory",
    "strategies.rehearsal.Rehearsal": "strategies.memory.rehearsal.Rehearsal",
    "strategies.task_memory.TaskMemory": "strategies.memory.task_memory.TaskMemory",
}
"""Maps the old path of a class to the new one."""


def check_options(options: Sequence[str]) -> None:
    """Refuse old names of options and old paths of classes.

    Raises:
        ValueError: naming the new name.

    Example:
        >>> check_options(["--seed", "1", "--model", "MAML"])
    """
    for option in options:
        name = option.removeprefix("--").split("=", 1)[0].rstrip("+")
        for old, new in OPTIONS.items():
            if option.startswith("--") and (name == old or name.startswith(f"{old}.")):
                raise ValueError(f"--{name} is now --{new}{name.removeprefix(old)}")
        _check_path(option)
        if match := re.search(r"budget_(examples|bytes|per_class)", option):
            raise ValueError(f"{match.group()} is now budget.{match.group(1)}, as in budget: {{{match.group(1)}: 500}}")


def check_config(config: Mapping[str, Any], file: str) -> None:
    """Refuse a config with old names of options or old paths of classes.

    Args:
        config: content of the config.
        file: path of the config, for the message.

    Raises:
        ValueError: naming the new name.

    Example:
        >>> check_config({"seed": 0, "model": "ProtoNet"}, "a.yaml")
    """
    try:
        _check_tree(config, "")
    except ValueError as error:
        raise ValueError(f"the config {file} was written for an earlier version: {error}") from None


def _check_tree(value: Any, name: str) -> None:
    if isinstance(value, str):
        _check_path(value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            inner = name if key == "init_args" else f"{name}.{key}".lstrip(".")
            if inner in OPTIONS and (part is not None or inner == "seed_everything"):
                raise ValueError(f"{inner} is now {OPTIONS[inner]}")
            if match := re.fullmatch(r"budget_(examples|bytes|per_class)", str(key)):
                raise ValueError(f"{inner} is now {name}.budget.{match.group(1)}")
            if key == "outer" and name == "model":
                part = part.get("init_args", part) if isinstance(part, Mapping) else part
            _check_tree(part, inner)
    elif isinstance(value, list):
        for part in value:
            _check_tree(part, name)


def _check_path(text: str) -> None:
    for old, new in PATHS.items():
        if re.search(rf"(?<![\w.]){re.escape(old)}(?!\w)", text):
            raise ValueError(f"{old} is now {new}")
