"""Commands with their own options: how their command line is parsed, and their ``--help``, with one line per option."""

from __future__ import annotations

import inspect
import textwrap
import typing
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Generic, TypeVar

import docstring_parser
from jsonargparse import ArgumentParser

from lifelong.cli.class_help import ALL, HELP
from lifelong.cli.rows import Row, lay_out, metavar, shown_value
from lifelong.utilities.source_code import plain_line

Options = TypeVar("Options")
WIDTH = 80
"""Width of a help page in columns; every terminal has that many."""
SEVERAL = "…"


@dataclass(frozen=True)
class Command(Generic[Options]):
    """Describe a command that has its own options.

    Args:
        name: name of the command.
        options: a frozen dataclass. Its docstring describes the command and each of its fields.
        takes: placeholder of the first field, which is a positional argument: ``RUN``, or ``RUN RUN …`` for several.
            Empty if every field is an option.
        needed: what the positional argument is, for the error message when it is missing. Empty if the command itself
            reports this.
        example: example of the positional argument.

    Example:
        >>> @dataclass(frozen=True)
        ... class Wait:
        ...     '''Wait for a run.
        ...
        ...     Args:
        ...         run: a run folder.
        ...         seconds: at most so many.
        ...     '''
        ...
        ...     run: str
        ...     seconds: int = 9
        >>> print(Command("wait", Wait).page())
        usage: python -m lifelong wait RUN [options]
        <BLANKLINE>
        Wait for a run.
        <BLANKLINE>
          RUN            a run folder
        <BLANKLINE>
        options:
          --seconds INT  at most so many [9]
          -h, --help     show this page; --help.all: with complete texts
        >>> Command("wait", Wait).parse(["--seconds", "5", "runs/a"])
        Wait(run='runs/a', seconds=5)
    """

    name: str
    options: type[Options]
    takes: str = "RUN"
    needed: str = "a run"
    example: str = "runs/name, or last"

    def make_parser(self) -> ArgumentParser:
        """Create the parser of the options."""
        parser = ArgumentParser(prog=f"python -m lifelong {self.name}", exit_on_error=False)
        parser.add_class_arguments(self.options, skip={field.name for field in self._fields[: bool(self.takes)]})
        return parser

    def parse(self, args: Sequence[str]) -> Options:
        """Parse the command line after the command, or print the help page if requested.

        Args:
            args: the command line after the command.

        Raises:
            ArgumentError: when an option is unknown or has a wrong value.
            ValueError: when something required is missing or given more than once.
        """
        if {*HELP, *ALL} & set(args):
            print(self.page(whole=bool({*ALL} & set(args))))
            raise SystemExit(0)
        given, options = self.split(args)
        names, parser = {option.partition("=")[0] for option in options if option.startswith("--")}, self.make_parser()
        if names - {f"--{field.name}" for field in self._fields[bool(self.takes) :]}:
            parser.parse_args(options)  # an unknown option may be a misspelt one that is missing below
        first: tuple[Any, ...] = ()
        if not self.takes:
            options = [*given, *options]
        elif self.takes.endswith(SEVERAL):
            first = (tuple(given),)
        else:
            first = (self._only(given),)
        for field in self._fields[bool(self.takes) :]:
            if field.default is MISSING and f"--{field.name}" not in names:
                raise ValueError(f"{self.name} has no --{field.name}, and needs one: {self._says[field.name]}")
        return self.options(*first, **parser.instantiate(parser.parse_args(options)).as_dict())

    def split(self, args: Sequence[str]) -> tuple[list[str], list[str]]:
        """Split a command line into positional arguments and options with their values.

        Args:
            args: the command line after the command.
        """
        given: list[str] = []
        options: list[str] = []
        rest, switches = list(args), {f"--{field.name}" for field in self._fields if self._kinds[field.name] is bool}
        while rest:
            arg = rest.pop(0)
            if not arg.startswith("-"):
                given.append(arg)
            elif arg in switches:
                value = rest.pop(0) if rest and rest[0] in ("true", "false") else "true"
                options.append(f"{arg}={value}")
            else:
                options.append(arg)
                if "=" not in arg and rest:
                    options.append(rest.pop(0))
        return given, options

    def page(self, *, whole: bool = False) -> str:
        """Return the help page of the command.

        Args:
            whole: do not shorten any text to one line.
        """
        text, says = self._text, self._says
        about = [part for part in (text.short_description, text.long_description) if part]
        rows = [self._row(field, says[field.name]) for field in self._fields]
        rows.append(Row(", ".join(HELP), f"show this page{'' if whole else f'; {ALL[0]}: with complete texts'}"))
        needed = [row.option for row in rows if row.value == "required"]
        usage = " ".join(["python -m lifelong", self.name, *needed, "[options]"])
        lines = textwrap.wrap(f"usage: {usage}", WIDTH, subsequent_indent="  ")
        for paragraph in about:
            lines += ["", *textwrap.wrap(f"{plain_line(paragraph)}.", WIDTH)]
        rows = [Row(row.option, row.says) if row.option == self.takes else row for row in rows]
        laid = lay_out(rows, whole=whole, width=WIDTH)
        n_first = len(lay_out(rows[:1], whole=whole, width=WIDTH)) if self.takes else 0
        return "\n".join([*lines, *(["", *laid[:n_first]] if self.takes else []), "", "options:", *laid[n_first:]])

    @property
    def _fields(self) -> tuple[Field[Any], ...]:
        return fields(self.options)  # type: ignore[arg-type]

    @property
    def _kinds(self) -> dict[str, Any]:
        return typing.get_type_hints(self.options)

    @property
    def _text(self) -> docstring_parser.Docstring:
        return docstring_parser.parse(inspect.getdoc(self.options) or "")

    @property
    def _says(self) -> dict[str, str]:
        """Return the description of each field."""
        return {p.arg_name: plain_line(" ".join((p.description or "").split())) for p in self._text.params}

    def _only(self, given: Sequence[str]) -> str:
        if not given:
            raise ValueError(
                f"{self.name} needs {self.needed}, and none is named: python -m lifelong {self.name} {self.example}"
            )
        if len(given) > 1:
            raise ValueError(
                f"{self.name} takes one {self.takes}, and found {', '.join(given)}: give one after the other"
            )
        return given[0]

    def _row(self, field: Field[Any], says: str) -> Row:
        if self.takes and field == self._fields[0]:
            return Row(self.takes, says, "required")
        kind, default = self._kinds[field.name], field.default
        if default is MISSING:
            return Row(f"--{field.name} {metavar(kind)}", says, "required")
        if default is False:
            return Row(f"--{field.name}", says)
        return Row(f"--{field.name} {metavar(kind)}", says, "" if default is None else shown_value(default))
