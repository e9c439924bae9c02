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
"""Options of a single command, which are not part of a run's config."""


@dataclass
class Parsed:
    """Hold a parsed command line.

    Args:
        parser: the parser that parsed it.
        config: every option with its value.
    """

    parser: ArgumentParser
    config: Namespace

    def kept_config(self) -> dict[str, Any]:
        """Return the configuration for ``config.yaml`` and ``results.json``, as plain data."""
        config = self.config.clone()
        for key in NOT_KEPT:
            config.pop(key, None)
        config.trainer.default_root_dir = None
        text = self.parser.dump(config, format="json", skip_unset=False, skip_validation=True)
        return dict(json.loads(text))


def make_parser(command: str) -> ArgumentParser:
    """Create the parser of a command; all commands take the same options, so they can share one config."""
    parser = ArgumentParser(prog=f"python -m lifelong {command}", exit_on_error=False)
    parser.add_argument("-c", "--config", type=str, help="a file of options, or the bare name of one in configs/")
    parser.add_argument("--print_config", action="store_true", help="print every option with its value, and exit")
    parser.add_argument("--seed", type=int, default=0, help="seed of initial weights and training tasks")
    parser.add_subclass_arguments(Learner, "model", required=True, help="the learner")
    parser.add_subclass_arguments(StreamDataModule, "data", required=True, skip={"seed"}, help="the stream")
    parser.add_argument("--strategies", type=list[Strategy], default=[], help="plug-ins; [] is plain fine-tuning")
    parser.add_argument("--optimizer", type=OptimizerCallable, default=torch.optim.Adam, help="the outer optimizer")
    parser.add_argument("--lr_scheduler", type=LRSchedulerCallable | None, default=None, help="stepped at each step")
    parser.add_argument("--reset_optimizer", type=bool, default=False, help="reset its state at each experience")
    parser.add_class_arguments(TaskRunner, "runner")
    parser.add_class_arguments(StreamCheckpoint, "checkpoint")
    parser.add_class_arguments(RunOptions, "run")
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="a checkpoint; last: the newest run's")
    parser.add_argument("--trust", action="store_true", help="import every class that a checkpoint's config names")
    parser.add_argument("--dry_run", action="store_true", help="fit only: print what would run, and for how long")
    parser.add_class_arguments(L.Trainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True)
    parser.set_defaults({f"trainer.{name}": value for name, value in DEFAULTS.items()})
    parser.set_defaults({"trainer.logger": {"class_path": "lifelong.run.loggers.WandB"}, "trainer.callbacks": []})
    return parser


def parse(command: str, args: Sequence[str], saved: Path | None = None) -> Parsed:
    """Parse a command line.

    If the command line or a later config replaces a class by another, the new class starts from its own defaults; see
    :mod:`lifelong.cli.swaps`.

    Args:
        command: one of ``COMMANDS``.
        args: the command line after the command.
        saved: config of the run that a checkpoint belongs to. It is used if there is no ``--config``.

    Raises:
        ArgumentError: when an option or its value is unknown.
        ValueError: when a config cannot be read, or an option was renamed.
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
    # Configs become options, so that all values are parsed in the same way and in order.
    inlined = [f"--{key}={_inline(value)}" for config in configs for key, value in _leaves(config)]
    return parser.parse_args([*inlined, *options])


def _leaves(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the options of a config by dotted names; groups are expanded, the value of one option is kept together."""
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
        file: path of the file, or name of a config that ships with lifelong.

    Raises:
        ValueError: when it cannot be read, or contains a renamed option.
    """
    path = find_config(file)
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"the config {path} has no options: it must be a mapping such as 'model: ProtoNet'")
    check_config(content, str(path))
    return with_lists_inside(_with_own_networks_inside(content))


def check_values(options: Sequence[str]) -> None:
    """Refuse values that YAML aliases make much larger than they look.

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
                continue  # not YAML: the check of the option itself reports it
            except ValueError as error:
                raise ValueError(f"{name} cannot be read ({error}): write the values out") from error


def split_configs(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the configs from the other options of a command line.

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
    """Replace names of lifelong's networks by their import paths, as torchvision also has an ``MLP``.

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
    """Do the same for the networks of a config."""
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
    """Return the value of an option before the command line is parsed. None if it is not given."""
    for place, arg in enumerate(args):
        if arg == f"--{name}":
            return args[place + 1] if place + 1 < len(args) else None
        if arg.startswith(f"--{name}="):
            return arg.split("=", 1)[1]
    return None
