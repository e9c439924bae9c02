"""Where ``python -m lifelong`` begins: the first page of help at once, everything else by the command line proper.

Importing torch and Lightning takes seconds, so nothing here does before it must.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import textwrap
from collections.abc import Sequence

from lifelong.utilities.plugins import GROUPS

PAGE = """\
usage: python -m lifelong [-h] {fit,extend,validate,test,predict,adapt,export,serve,drive,sweep} [-c CONFIG] ...

Learners that keep learning from few examples, one domain after another, without forgetting.

  fit                   learn a stream, experience by experience, and evaluate after each
  extend RUN            learn further experiences after those of a finished run (--data.sources+=…)
  validate              evaluate on validation tasks, one row of the accuracy matrix
  test                  evaluate on test tasks, one row of the accuracy matrix
  predict               answer about photos or texts of your own (--query), or test tasks
  adapt RUN             write a small file that has learnt classes of your own (--support), and answers alone
  export RUN            write a model as ONNX or as a program of torch.export
  serve RUN             open a page on this machine: make classes, drop photos or texts into them, and ask
  drive RUN             drive one robot with what a run has learnt: a film, and its numbers
  sweep FILE            run a table of runs, or search for settings, on this machine or on a cluster

options:
  -h, --help            show this page; after a command, every option of it
  -c, --config CONFIG   after a command: a file of options, or the bare name of one in configs/; default without one
  --print_config        after a command: print every option with its value and do nothing

Classes are given by name (--model MAML), and their own help by python -m lifelong fit --model.help MAML.
"""


def main(args: Sequence[str] | None = None) -> None:
    """Print the page where it is asked for first of all, else run the command line."""
    given = list(sys.argv[1:] if args is None else args)
    if given[:1] in (["-h"], ["--help"]):
        print(page(), end="")
        return
    importlib.import_module("lifelong.cli.main").main(given)


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
