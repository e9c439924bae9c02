"""``--model.help MAML`` and similar: what a class does, and its arguments, one line each."""

from __future__ import annotations

import importlib
import inspect
import textwrap
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import docstring_parser

from lifelong.cli.classes import KINDS, MODULES, SET_ELSEWHERE, full_option, known_classes, option_of
from lifelong.cli.nearest import nearest_name
from lifelong.cli.rows import Row, lay_out, metavar, shown_value
from lifelong.utilities.source_code import plain_line

HELP = ("-h", "--help")
"""Options that show the help page of a command."""
ALL = ("--help.all", "--help_all")
"""Options that show the help page with complete texts."""


def asked_class(args: Sequence[str]) -> tuple[str, str | None] | None:
    """Return the option whose classes are asked about, and the class if one is named. None without such a request.

    Args:
        args: the command line of a command.

    Example:
        >>> asked_class(["--model.help", "MAML"]), asked_class(["--strategies.help=EWC"]), asked_class(["-h", "SI"])
        (('model', 'MAML'), ('strategies', 'EWC'), ('', 'SI'))
    """
    for place, arg in enumerate(args):
        option, has_value, value = arg.partition("=")
        if not (option.startswith("--") and option.endswith(".help")) and option not in HELP:
            continue
        following = args[place + 1] if place + 1 < len(args) else "-"
        name = value if has_value else None if following.startswith("-") else following
        option = option.removeprefix("--").removesuffix("help").rstrip(".-") if option != "-h" else ""
        takes_classes = option.rpartition(".")[2] in {*KINDS, *MODULES}  # the parser prints the help of others
        return (option, name) if takes_classes or (name and not option) else None
    return None


def class_page(option: str, name: str | None, *, whole: bool = False) -> str:
    """Return the help page of a class, or the list of classes that an option accepts.

    Args:
        option: option such as ``model`` or ``data.sources``. Empty for a class of any kind.
        name: name of the class, with or without its module. If None, list the classes.
        whole: do not shorten any text.

    Raises:
        ValueError: when there is no such class; the message names the most similar one.

    Example:
        >>> print(class_page("model.network", "MLP").splitlines()[0])
        lifelong.networks.MLP: Linear layers with ReLU between them; inputs of any shape are flattened
    """
    if name is None:
        return _list_page(full_option(option))
    path = class_path(option, name)
    option = full_option(option) if option else option_of(name)
    made = _imported(path, option)
    text = docstring_parser.parse(inspect.getdoc(made) or "")
    lines = textwrap.wrap(f"{path}: {plain_line(text.short_description or '')}", 100, subsequent_indent="  ")
    if whole and text.long_description:
        lines += ["", *(plain_line(line) for line in text.long_description.splitlines())]
    rows = _argument_rows(made, option, {p.arg_name: p.description or "" for p in text.params})
    lines += ["", *lay_out(rows, whole=whole)] if rows else ["", "  it takes no arguments"]
    lines += _classes_lines([row.option.split()[0].removeprefix("--") for row in rows])
    if not whole and rows:
        lines += ["", f"Complete texts: add {ALL[0]}"]
    return "\n".join(lines) + "\n"


def class_path(option: str, name: str) -> str:
    """Return the import path of a class for an option.

    Args:
        option: option such as ``model``. Empty for a class of any kind.
        name: name of the class, with or without its module.

    Raises:
        ValueError: when there is no class of that name; the message names the most similar one.
    """
    known = known_classes(option)
    if name in known or "." in name:
        return known.get(name, name)
    near = nearest_name(name, known)
    question = f"did you mean {near[0]}?" if near else "give its module as well, such as my_package.Name"
    raise ValueError(f"there is no class {name}{f' for --{option}' if option else ''}: {question}")


def _list_page(option: str) -> str:
    what = f"--{option} takes one of these"
    if (kind := KINDS.get(option.rpartition(".")[2])) == "networks":
        what = f"--{option} takes any torch.nn.Module by its path; of ours"
    lines = textwrap.wrap(f"{what}: {', '.join(known_classes(option))}", 100, subsequent_indent="  ")
    more = f"; python -m lifelong list {kind} says what each is" if kind else ""
    return "\n".join([*lines, "", f"What one of them takes: --{option}.help NAME{more}"]) + "\n"


def _imported(path: str, option: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ValueError(f"the class {path} cannot be imported ({error}): install what brings it") from error
    except AttributeError as error:
        near = get_close_matches(name, dir(importlib.import_module(module)), 1)
        question = f"did you mean {module}.{near[0]}?" if near else f"--{option or 'model'}.help lists what there is"
        raise ValueError(f"the module {module} has no class {name}: {question}") from error


def _argument_rows(made: Any, option: str, texts: dict[str, str]) -> list[Row]:
    """Return one row per argument, with its type, description and default."""
    try:
        kinds = typing.get_type_hints(made.__init__ if isinstance(made, type) else made)  # type: ignore[misc]
    except Exception:  # names that only exist for type checkers
        kinds = {}
    rows = []
    for parameter in inspect.signature(made).parameters.values():
        is_any = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_any or (option.rpartition(".")[2], parameter.name) in SET_ELSEWHERE:
            continue
        required = parameter.default is parameter.empty
        value = "required" if required else shown_value(parameter.default)
        kind = metavar(kinds.get(parameter.name, parameter.annotation))
        says = plain_line(" ".join(texts.get(parameter.name, "").split()))
        rows.append(Row(f"--{option or '…'}.{parameter.name} {kind}", says, value))
    return rows


def _classes_lines(options: Sequence[str]) -> list[str]:
    """Return the lines that list classes for those arguments that take a class, one line per kind."""
    first = {KINDS[last]: option for option in reversed(options) if (last := option.rpartition(".")[2]) in KINDS}
    lines: list[str] = []
    for kind, option in first.items():
        any_module = "any torch.nn.Module by its path; of ours " if kind == "networks" else ""
        names = ", ".join(sorted(known_classes(option), key=str.lower))
        text = f"--{option}: {any_module}{names} (--{option}.help NAME)"
        lines += ["", *textwrap.wrap(text, 100, subsequent_indent="  ")]
    return lines
