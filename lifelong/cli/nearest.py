"""Suggestions for options and classes that do not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from lifelong.cli.classes import known_classes
from lifelong.utilities.source_code import arguments

UNKNOWN_OPTION = re.compile(r"unrecognized arguments: --([\w.]+)", re.IGNORECASE)
KEY = re.compile(r'Parser key "([\w.]+)":')
UNKNOWN_CLASS = re.compile(
    r"""Parser key "([\w.]+)":[^"]*"""
    r"""(?:Expected a dot import path string: |module '([\w.]+)' has no attribute ')([\w.]+)"""
)


def unknown_option(message: str, options: Iterable[str], args: Iterable[str] = ()) -> str | None:
    """Return a message about an unknown option that suggests the most similar one. None for any other message.

    Args:
        message: error message of the parser.
        options: the names of all options.
        args: the command line; the parser's message may lack the option's prefix.

    Example:
        >>> unknown_option("Unrecognized arguments: --optimzer.lr 0.1", ["seed", "optimizer"])
        'there is no option --optimzer.lr: did you mean --optimizer.lr?'
    """
    if (match := UNKNOWN_OPTION.search(message)) is None:
        return None
    given = [arg.partition("=")[0] for arg in args if arg.startswith("--")]
    if whole := next((name for name in given if name.endswith(f".{match.group(1)}")), None):
        option = whole.removeprefix("--").removesuffix(f".{match.group(1)}")
        return f"there is no option {whole}{_question(_inside(option, match.group(1), args))}"
    names = sorted({option.replace(".init_args", "") for option in options})
    head, dot, rest = match.group(1).partition(".")
    heads = sorted({name.partition(".")[0] for name in names})
    if head in heads:
        nearest = difflib.get_close_matches(match.group(1), names, 1)
    else:
        nearest = [f"{known}{dot}{rest}" for known in difflib.get_close_matches(head, heads, 1)]
    return f"there is no option --{match.group(1)}{_question([f'--{name}' for name in nearest])}"


def _inside(option: str, name: str, args: Iterable[str]) -> list[str]:
    """Return the most similar option of the classes that the command line names for a parent option."""
    head, dot, rest = name.partition(".")
    words = set(re.findall(r"\w+", " ".join(args)))
    paths = [path for class_name, path in known_classes(option).items() if class_name in words]
    near = nearest_name(head, {argument for path in paths for argument in arguments(path)} - {head})
    return [f"--{option}.{near[0]}{dot}{rest}"] if near else []


def unknown_class(message: str) -> str | None:
    """Return a message about an unknown class that suggests the most similar one. None for any other message.

    Args:
        message: error message of the parser.

    Example:
        >>> unknown_class('Parser key "strategies": Expected a dot import path string: Repaly').partition("?")[0]
        'there is no class Repaly for strategies: did you mean Replay'
    """
    if (match := UNKNOWN_CLASS.search(message)) is None:
        return None
    option, module, name = match.groups()
    inner = KEY.findall(message)[-1]
    nearest = nearest_name(name.rpartition(".")[2], known_classes(inner))
    path = f"{module}.{name}" if module else name
    option = ".".join(dict.fromkeys(KEY.findall(message)))
    return (
        f"there is no class {path} for {option}{_question(nearest)} python -m lifelong fit --{option}.help lists them"
    )


def nearest_name(name: str, known: Iterable[str]) -> list[str]:
    """Return the most similar name, ignoring case. Empty if none is similar.

    Args:
        name: the unknown name.
        known: the existing names.

    Example:
        >>> nearest_name("protonet", ["ProtoNet", "MAML"]), nearest_name("xyzzy", ["MAML"])
        (['ProtoNet'], [])
    """
    names = {known_name.lower(): known_name for known_name in known}
    return [names[near] for near in difflib.get_close_matches(name.lower(), names, 1)]


def _question(nearest: list[str]) -> str:
    return f": did you mean {nearest[0]}?" if nearest else ";"
