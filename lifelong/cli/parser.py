"""The parser of the command line: every option of ``lifelong.fit``, and of Lightning's Trainer under ``--trainer``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import ArgumentParser, Namespace

from lifelong.cli.class_help import ALL, HELP
from lifelong.cli.help_page import help_page
from lifelong.cli.lone import with_lists, with_lists_inside
from lifelong.cli.nulls import with_nulls
from lifelong.cli.swaps import without_replaced
from lifelong.compute.runner import TaskRunner
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from lifelong.networks import __all__ as NETWORKS
from lifelong.run.configs import find_config
from lifelong.run.options import RunOptions
from lifelong.run.renamed import check_config, check_options
from lifelong.run.trainer import DEFAULTS
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.training.optimizer import LRSchedulerCallable, OptimizerCallable
from lifelong.utilities.plain_yaml import check_aliases, read_yaml

COMMANDS = (
    "fit",
    "extend",
    "validate",
    "test",
    "predict",
    "adapt",
    "export",
    "serve",
    "drive",
    "report",
    "compare",
    "sweep",
    "list",
)
NOT_KEPT = ("ckpt_path", "run", "trust", "dry_run")
"""Options of one command, which are no part of a run's config."""


@dataclass
class Parsed:
    """Hold what a command line says.

    Args:
        parser: that understood it.
        config: every option with its value.
    """

    parser: ArgumentParser
    config: Namespace

    def kept_config(self) -> dict[str, Any]:
        """Return what ``config.yaml`` and ``results.json`` keep, as plain data."""
        config = self.config.clone()
        for key in NOT_KEPT:
            config.pop(key, None)
        config.trainer.default_root_dir = None
        text = self.parser.dump(config, format="json", skip_unset=False, skip_validation=True)
        return dict(json.loads(text))


def make_parser(command: str) -> ArgumentParser:
    """Make the parser of a command; all take the same options, so that one config serves them all."""
    parser = ArgumentParser(prog=f"python -m lifelong {command}", exit_on_error=False)
    parser.add_argument("-c", "--config", type=str, help="a file of options, or the bare name of one in configs/")
    parser.add_argument("--print_config", action="store_true", help="print every option with its value, do nothing")
    parser.add_argument("--seed", type=int, default=0, help="decides initial weights and training tasks")
    parser.add_subclass_arguments(Learner, "model", required=True, help="the learner")
    parser.add_subclass_arguments(StreamDataModule, "data", required=True, skip={"seed"}, help="the stream")
    parser.add_argument("--strategies", type=list[Strategy], default=[], help="plug-ins; [] is plain fine-tuning")
    parser.add_argument("--optimizer", type=OptimizerCallable, default=torch.optim.Adam, help="the outer optimizer")
    parser.add_argument("--lr_scheduler", type=LRSchedulerCallable | None, default=None, help="moves on by steps")
    parser.add_argument("--reset_optimizer", type=bool, default=False, help="forget its state at each experience")
    parser.add_class_arguments(TaskRunner, "runner")
    parser.add_class_arguments(StreamCheckpoint, "checkpoint")
    parser.add_class_arguments(RunOptions, "run")
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="a checkpoint; last is the newest run's")
    parser.add_argument("--trust", action="store_true", help="import every class that a checkpoint's config names")
    parser.add_argument("--dry_run", action="store_true", help="fit alone: tell what would run, and for how long")
    parser.add_class_arguments(L.Trainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True)
    parser.set_defaults({f"trainer.{name}": value for name, value in DEFAULTS.items()})
    parser.set_defaults({"trainer.logger": {"class_path": "lifelong.run.loggers.WandB"}, "trainer.callbacks": []})
    return parser


def parse(command: str, args: Sequence[str], saved: Path | None = None) -> Parsed:
    """Understand a command line.

    A class that the command line, or a later config, puts in the place of another starts from its own defaults; see
    :mod:`lifelong.cli.swaps`.

    Args:
        command: one of ``COMMANDS``.
        args: what follows it.
        saved: the config of the run that a checkpoint belongs to, which stands for a missing ``--config``.

    Raises:
        ArgumentError: when an option or its value is unknown.
        ValueError: when a config cannot be read, or an option has another name now.
    """
    parser = make_parser(command)
    files, options = split_configs(with_own_networks(args))
    options = with_lists(options)
    check_options(options)
    files = files or [str(saved or "default")]
    configs = [read_config(file) for file in files]
    check_values(options)
    if {*ALL} & {*options}:
        parser.print_help()
        raise SystemExit(0)
    prints, helps = "--print_config" in options, bool({*HELP} & {*options})
    options = [option for option in options if option not in ("--print_config", *HELP)]
    configs, options = with_nulls(configs, options)
    config = _parse(parser, configs, options)
    pruned = without_replaced(configs, config, options)
    if pruned != configs:
        config = _parse(parser, pruned, options)
    config.pop("config", None)
    config.pop("print_config", None)
    parsed = Parsed(parser, config)
    if prints:
        print(yaml.safe_dump(parsed.kept_config(), sort_keys=False), end="")
        raise SystemExit(0)
    if helps:
        print(help_page(command, parsed.kept_config(), f"{', '.join(files)} and of this command line"), end="")
        raise SystemExit(0)
    return parsed


def _parse(parser: ArgumentParser, configs: Sequence[dict[str, Any]], options: Sequence[str]) -> Namespace:
    # As options, so that all come by the same way and in their order.
    inlined = [f"--{key}={_inline(value)}" for config in configs for key, value in _leaves(config)]
    return parser.parse_args([*inlined, *options])


def _leaves(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """The options of a config, by dotted names: groups are taken apart, values of one option stay together."""
    groups = ("runner", "checkpoint", "run", "trainer")
    leaves: list[tuple[str, Any]] = []
    for key, value in config.items():
        inner = value.items() if key in groups and isinstance(value, dict) else None
        leaves += [(key, value)] if inner is None else [(f"{key}.{name}", part) for name, part in inner]
    return leaves


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def read_config(file: str) -> dict[str, Any]:
    """Read a YAML or JSON file of options.

    Args:
        file: a path, or the bare name of a config that ships with lifelong.

    Raises:
        ValueError: when it cannot be read, or has an option that has another name now.
    """
    path = find_config(file)
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"the config {path} has no options: it must be a mapping such as 'model: ProtoNet'")
    check_config(content, str(path))
    return with_lists_inside(_with_own_networks_inside(content))


def check_values(options: Sequence[str]) -> None:
    """Refuse values that aliases of YAML make much larger than they look.

    Args:
        options: the command line without its configs.

    Raises:
        ValueError: naming the option.
    """
    for before, word in zip(["", *options], options, strict=False):
        name, has_value, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        if has_value and "&" in value and "*" in value:
            try:
                check_aliases(value)
            except yaml.YAMLError:
                continue  # no YAML: what it is, its option says
            except ValueError as error:
                raise ValueError(f"{name} cannot be read ({error}): write the values out") from error


def split_configs(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take the configs out of a command line.

    Example:
        >>> split_configs(["--config", "a.yaml", "--seed", "1", "-c=b.yaml"])
        (['a.yaml', 'b.yaml'], ['--seed', '1'])
    """
    files, options, rest = [], [], list(args)
    while rest:
        arg = rest.pop(0)
        name, has_value, value = arg.partition("=")
        if name not in ("-c", "--config"):
            options.append(arg)
        elif has_value:
            files.append(value)
        elif rest:
            files.append(rest.pop(0))
        else:
            raise ValueError(f"{name} names no file: give it one, such as {name} split_mnist")
    return files, options


def with_own_networks(args: Sequence[str]) -> list[str]:
    """Give bare names of our networks their paths: torchvision, where it is loaded, has an ``MLP`` as well.

    Example:
        >>> with_own_networks(["--model.network=MLP", "--run.name", "MLP"])
        ['--model.network=lifelong.networks.MLP', '--run.name', 'MLP']
    """
    paths = {name: f"lifelong.networks.{name}" for name in NETWORKS}
    understood = []
    for before, arg in zip(["", *args], args, strict=False):
        option, _, name = arg.rpartition("=")
        if option.endswith(".network") and name in paths:
            arg = f"{option}={paths[name]}"
        understood.append(paths.get(arg, arg) if before.endswith(".network") else arg)
    return understood


def _with_own_networks_inside(config: dict[str, Any]) -> dict[str, Any]:
    """The same for what a config has under ``network``."""
    changed: dict[str, Any] = {}
    for key, value in config.items():
        if key == "network" and isinstance(value, str):
            changed[key] = f"lifelong.networks.{value}" if value in NETWORKS else value
        elif key == "network" and isinstance(value, dict) and value.get("class_path") in NETWORKS:
            named = value | {"class_path": f"lifelong.networks.{value['class_path']}"}
            changed[key] = _with_own_networks_inside(named)
        elif isinstance(value, dict):
            changed[key] = _with_own_networks_inside(value)
        else:
            changed[key] = value
    return changed


def option_value(args: Sequence[str], name: str) -> str | None:
    """Return the value of an option of a command line, before it is parsed; None where it is not given."""
    for place, arg in enumerate(args):
        if arg == f"--{name}":
            return args[place + 1] if place + 1 < len(args) else None
        if arg.startswith(f"--{name}="):
            return arg.split("=", 1)[1]
    return None
