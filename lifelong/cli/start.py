"""Where ``python -m lifelong`` begins: the first page of help at once, everything else by the command line proper.

Importing torch and Lightning takes seconds, so nothing here does before it must.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
import textwrap
from collections.abc import Sequence

from lifelong.cli.light import LIGHT
from lifelong.cli.light import run as run_light
from lifelong.utilities.plugins import GROUPS
from lifelong.utilities.versions import installed_version

PAGE = """\
usage: python -m lifelong [-h] [--version] COMMAND [-c CONFIG] [options]

Learners that keep learning from few examples, one domain after another, without forgetting.

learn:
  fit                   learn a stream, experience by experience, and evaluate after each
  extend RUN            learn further experiences after those of a finished run (--data.sources+=…)
  sweep FILE            run a table of runs, or search for settings, on this machine or on a cluster

evaluate:
  validate              evaluate on validation tasks, one row of the accuracy matrix
  test                  evaluate on test tasks, one row of the accuracy matrix
  report RUN            write report.html, a page that a person can show, from the results of a run
  compare RUN RUN …     put runs beside each other: one table, with intervals and paired differences

use what is learnt:
  predict               answer about photos or texts of your own (--query), or test tasks
  adapt RUN             write a small file that has learnt classes of your own (--support), and answers alone
  export RUN            write a model as ONNX or as a program of torch.export
  serve RUN             open a page on this machine: make classes, drop photos or texts into them, and ask
  drive RUN             drive one robot with what a run has learnt: a film, and its numbers

look around:
  list [KIND]           learners, networks, strategies, sources, configs, metrics: names, and what each is

options:
  -h, --help            show this page; after a command, its options
  --version             print the version
  -c, --config CONFIG   after a command: a file of options, or the bare name of one in configs/; default without one
  --print_config        after a command: print every option with its value and do nothing

Classes are given by name (--model MAML), and their own help by python -m lifelong fit --model.help MAML.
"""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; who reads its output may stop reading, as ``head`` does."""
    try:
        _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nothing more is written, nor when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _run(args: Sequence[str] | None) -> None:
    """Print the page, the version or a list where it is asked for first of all, else run the command line proper."""
    if "_ARGCOMPLETE" in os.environ:  # the shell asks how a line may go on
        importlib.import_module("lifelong.cli.completion").complete(commands())
        return
    given = list(sys.argv[1:] if args is None else args)
    if given[:1] in (["-h"], ["--help"]):
        print(page(), end="")
        return
    if given == ["--version"]:
        print(f"lifelong {installed_version('lifelong')}")
        return
    if given[:1] == ["list"]:
        _list(given[1:])
        return
    if given and given[0] in LIGHT:
        run_light(given[0], given[1:])
        return
    importlib.import_module("lifelong.cli.main").main(given)


def _list(args: Sequence[str]) -> None:
    try:
        importlib.import_module("lifelong.cli.catalogue").print_list(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def commands() -> list[str]:
    """Return the commands, which are those of the page.

    Example:
        >>> commands()[0]
        'fit'
    """
    return re.findall(r"^  ([a-z]+)\b", PAGE, re.MULTILINE)


def page() -> str:
    """Return the first page of help, with the names of all plug-ins that are installed.

    Example:
        >>> "MAML" in page()
        True
    """
    return PAGE + "".join(f"\n{_listing(group)}\n" for group in GROUPS)


def _listing(group: str) -> str:
    names = sorted({entry.name for entry in importlib.metadata.entry_points(group=group)}, key=str.lower)
    title = f"{group.removeprefix('lifelong.')}: "
    return textwrap.fill(title + ", ".join(names), width=110, subsequent_indent="  ")
