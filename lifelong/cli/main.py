"""The command line: a thin layer over ``lifelong.run``."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lifelong.cli import adapt, compare, drive, export, predict, report, serve, sweep
from lifelong.cli.catalogue import print_list
from lifelong.cli.class_help import ALL, HELP, asked_class, class_page
from lifelong.cli.command import Command
from lifelong.cli.extend import find_run, parse_extension
from lifelong.cli.nearest import nearest_name
from lifelong.cli.parser import COMMANDS, Parsed, make_parser, option_value, parse, read_config, split_configs
from lifelong.cli.parser_sentence import LISTING, parser_sentence
from lifelong.cli.predict import is_asked
from lifelong.run.configs import find_config
from lifelong.run.dry_run import dry_run
from lifelong.run.evaluate import evaluate
from lifelong.run.fit import fit
from lifelong.run.last import last_checkpoint
from lifelong.run.mirror import local_checkpoint
from lifelong.run.options import check_seed
from lifelong.run.renamed import check_options
from lifelong.run.sentences import in_one_sentence
from lifelong.training.lost_process import ProcessLostError
from lifelong.training.stream_module import StreamModule
from lifelong.utilities import plugins
from lifelong.utilities.quiet import quietly, say
from lifelong.utilities.trust import limits_of

OF_MODELS: dict[str, tuple[Callable[[Sequence[str]], None], Command[Any]]] = {
    "predict": (predict.predict, predict.COMMAND),
    "adapt": (adapt.adapt, adapt.COMMAND),
    "export": (export.export, export.COMMAND),
    "serve": (serve.serve, serve.COMMAND),
    "drive": (drive.drive, drive.COMMAND),
    "report": (report.report, report.COMMAND),
    "compare": (compare.compare, compare.COMMAND),
    "sweep": (sweep.sweep, sweep.COMMAND),
}
"""Commands with their own options."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is reported in one sentence, with exit code 1 (2 for wrong options)."""
    command, *rest = list(sys.argv[1:] if args is None else args) or [""]
    try:
        if command not in COMMANDS:
            near = nearest_name(command, COMMANDS)
            question = f"did you mean {near[0]}? There are" if near else "give one of"
            raise ValueError(
                f"there is no command {command or '(none was given)'}: {question} {', '.join(COMMANDS)}; "
                "python -m lifelong --help says what each does"
            )
        run(command, rest)
    except ArgumentError as error:
        print(f"error: {option_sentence(str(error), command, rest)}", file=sys.stderr)
        sys.exit(2)
    except RecursionError as error:
        if os.environ.get("LIFELONG_TRACEBACK"):
            raise
        print(f"error: an option is nested too deeply to be understood ({error}): give fewer levels", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, MisconfigurationException, ProcessLostError) as error:
        if os.environ.get("LIFELONG_TRACEBACK"):
            raise
        print(f"error: {sentence(error)}", file=sys.stderr)
        sys.exit(1)


def run(command: str, args: Sequence[str]) -> None:
    """Run a command.

    Args:
        command: one of ``COMMANDS``.
        args: the command line after the command.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when a setting is wrong.
    """
    if command == "list":
        print_list(args)
        return
    if _is_of_model(command, args):
        check_options(args)
        OF_MODELS[command][0](args)
        return
    if asked := asked_class(args):
        print(class_page(*asked, whole=bool({*ALL} & {*args})), end="")
        return
    plugins.load()
    if command == "extend" and {*HELP, *ALL} & {*args}:
        parse(command, args if args[0].startswith("-") else args[1:])
    checkpoint = None if command == "extend" else _checkpoint(args)
    saved = find_run(args) / "config.yaml" if command == "extend" else _saved_config(checkpoint, args)
    with _limits(args, saved), in_one_sentence():
        if command == "extend":
            parsed, checkpoint = parse_extension(args)
        else:
            parsed = parse(command, args, saved)
        check_seed(parsed.config.seed)
        L.seed_everything(parsed.config.seed, verbose=False)  # before networks are created
        with quietly(parsed.config.run.quiet):
            if option_value(args, "ckpt_path") == "last":
                say(f"--ckpt_path last is {checkpoint}")
            if command == "extend" and args[0] == "last":
                say(f"last is {find_run(args)}")
            made = parsed.parser.instantiate(parsed.config).as_dict()
    made.pop("trust")
    if made.pop("dry_run"):
        _tell(command, made, checkpoint)
        return
    settings: dict[str, Any] = {
        "config": parsed.kept_config(),
        "run": made.pop("run"),
        "ckpt_path": checkpoint,
        **_without_defaults(parsed, made.pop("trainer")),
    }
    made.pop("ckpt_path")
    learner, data, seed = made.pop("model"), made.pop("data"), made.pop("seed")
    if command in ("fit", "extend"):
        fit(learner, data, seed=seed, extends=command == "extend", **made, **settings)
        return
    made.pop("checkpoint")
    data.reseed(seed)
    module = StreamModule(learner, made.pop("strategies"), **made)
    evaluate(cast("Literal['validate', 'test', 'predict']", command), module, data, **settings)


def _tell(command: str, made: dict[str, Any], checkpoint: str | None) -> None:
    """Print the forecast of a run."""
    if command != "fit" or checkpoint is not None:
        what = f"{command} does" if command != "fit" else "a run that goes on from a checkpoint has"
        raise ValueError(
            f"--dry_run tells what a run of fit would be from its start, and {what} something else: leave it out"
        )
    for name in ("ckpt_path", "checkpoint"):
        made.pop(name)
    trainer = made.pop("trainer")
    print(dry_run(made.pop("model"), made.pop("data"), **made, **trainer))


def _is_of_model(command: str, args: Sequence[str]) -> bool:
    """Return whether a command has its own options instead of those of ``fit``."""
    return command in OF_MODELS and (command != "predict" or is_asked(args))


def _without_defaults(parsed: Parsed, trainer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in trainer.items() if name != "default_root_dir" or value is not None}


def _checkpoint(args: Sequence[str]) -> str | None:
    """Return the given checkpoint; ``last`` is replaced by the path of the newest run's checkpoint."""
    given = option_value(args, "ckpt_path")
    if given == "last":
        given = last_checkpoint(option_value(args, "run.root") or "runs", option_value(args, "run.name"))
    given = None if given is None else local_checkpoint(given)
    if given is not None and not Path(given).is_file():
        raise ValueError(f"the checkpoint {given} is not there: give --ckpt_path the path of one")
    return given


def _saved_config(checkpoint: str | None, args: Sequence[str]) -> Path | None:
    """Return the config of a checkpoint's run folder, unless the command line names another config."""
    if split_configs(args)[0]:
        return None
    saved = Path(checkpoint).resolve().parent.parent / "config.yaml" if checkpoint else None
    return saved if saved is not None and saved.is_file() else None


def _limits(args: Sequence[str], saved: Path | None) -> AbstractContextManager[None]:
    """Return a context that limits what a run folder's config may import; the command line itself is trusted."""
    config = {} if saved is None else read_config(str(saved))
    texts = [find_config(file).read_text(encoding="utf-8") for file in split_configs(args)[0]] if saved else []
    root = option_value(args, "run.root") or "runs"
    way_out = "give --trust if you trust its author"
    return limits_of(saved, config, root, "--trust" in args, way_out, [*args, *texts])()


def option_sentence(message: str, command: str = "fit", args: Sequence[str] = ()) -> str:
    """Return the parser's error message, without its list of everything that it tried.

    Args:
        message: error message of the parser.
        command: the command.
        args: the command line after the command.

    Example:
        >>> option_sentence("Unrecognized arguments: --xyzzy")
        'there is no option --xyzzy; python -m lifelong fit --help.all lists every option'
    """
    has_own = _is_of_model(command, args)
    options = (OF_MODELS[command][1].make_parser() if has_own else make_parser("fit")).get_defaults().keys()
    listing = f"python -m lifelong {f'{command} --help' if has_own else 'fit --help.all'} lists every option"
    return parser_sentence(message, options, args, listing)


def sentence(error: BaseException) -> str:
    """Return the message of an error; if the parser wrapped a class's own error message, return that one."""
    inner = error.__cause__ or error.__context__
    while "\n" in str(error) and isinstance(inner, ValueError):
        error, inner = inner, inner.__cause__ or inner.__context__
    return " ".join(_complaint(str(error)).split())


def _complaint(message: str) -> str:
    """Extract a class's own error message from the parser's list of what it tried for an option."""
    if not message.startswith(LISTING):
        return message
    errors = [line.strip().removeprefix("- ") for line in message.partition("Errors:")[2].splitlines()]
    return next((line for line in errors if line and not line.startswith(LISTING)), message)
