"""Entry point of ``python -m lifelong``: prints the first help page immediately, and starts all other commands.

Importing torch and Lightning takes seconds, so nothing is imported here before it is needed.
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
  sweep FILE            run a table of runs, or a hyper-parameter search, on this machine or on a cluster

evaluate:
  validate              evaluate on validation tasks, one row of the accuracy matrix
  test                  evaluate on test tasks, one row of the accuracy matrix
  report RUN            write report.html, a self-contained page with the results of a run
  compare RUN RUN …     compare runs in one table, with intervals and paired differences

use what is learnt:
  predict               predict your own photos or texts (--query), or the test tasks
  adapt RUN             learn your own classes (--support), and save them as a small file that predicts on its own
  export RUN            export a model by ONNX or torch.export
  serve RUN             open a local page: create classes, drop photos or texts into them, and predict
  drive RUN             drive one robot with what a run has learnt: a video, and its metrics

look around:
  list [KIND]           list learners, networks, strategies, sources, configs or metrics, each with a description

options:
  -h, --help            show this page; after a command, its options
  --version             print the version
  -c, --config CONFIG   after a command: a config file, or the name of one in configs/; without it: default
  --print_config        after a command: print every option with its value, and exit

Classes are given by name (--model MAML), and their own help by python -m lifelong fit --model.help MAML.
"""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; a closed output pipe, as with ``head``, is not an error."""
    try:
        _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nothing more is written, not even when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _run(args: Sequence[str] | None) -> None:
    """Print the help page, the version or a list if the first argument asks for it, or else run a command."""
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
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
    """Return the names of the commands, as listed on the help page.

    Example:
        >>> commands()[0]
        'fit'
    """
    return re.findall(r"^  ([a-z]+)\b", PAGE, re.MULTILINE)


def page() -> str:
    """Return the first help page, with the names of all installed plug-ins.

    Example:
        >>> "MAML" in page()
        True
    """
    return PAGE + "".join(f"\n{_listing(group)}\n" for group in GROUPS)


def _listing(group: str) -> str:
    names = sorted({entry.name for entry in importlib.metadata.entry_points(group=group)}, key=str.lower)
    title = f"{group.removeprefix('lifelong.')}: "
    return textwrap.fill(title + ", ".join(names), width=110, subsequent_indent="  ")
