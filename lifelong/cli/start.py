"""Where ``python -m lifelong`` begins: the first page of help at once, everything else by the command line proper.

Importing torch and Lightning takes seconds, so nothing here does before it must.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType

from lifelong import lazy_compiler
from lifelong.run.plugins import GROUPS

PAGE = """\
usage: python -m lifelong [-h] [-c CONFIG] {fit,validate,test,predict} ...

Learners that keep learning from few examples, one domain after another, without forgetting.

  fit                   learn a stream, experience by experience, and evaluate after each
  validate              evaluate on validation tasks, one row of the accuracy matrix
  test                  evaluate on test tasks, one row of the accuracy matrix
  predict               answer test tasks, or texts of your own (--texts.query)

options:
  -h, --help            show this page; after a subcommand, every option of it
  -c, --config CONFIG   a YAML or JSON file; after the subcommand, one of configs/; the embedded default without one
  --print_config        after a subcommand: print its whole configuration and do nothing

Classes are given by name (--model MAML), and their own help by python -m lifelong fit --model.help MAML.
"""


def main(args: Sequence[str] | None = None) -> None:
    """Print the page where it is asked for first of all, else run the command line."""
    given = list(sys.argv[1:] if args is None else args)
    if given[:1] in (["-h"], ["--help"]):
        print(page(), end="")
        return
    command_line().main(given)


def command_line() -> ModuleType:
    """The module of the command line, imported without torch's compiler and without looking for garbage.

    Imports make some million objects and hardly any garbage: looking for it takes a sixth of their time, and later, in
    training, looks at all of them again and again, unless they are told apart as here (with what else is there, the
    objects of a notebook).
    """
    if (imported := sys.modules.get("lifelong.cli")) is not None:
        return imported
    lazy_compiler.put_off()
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        module = importlib.import_module("lifelong.cli")
        gc.freeze()
    finally:
        if was_collecting:
            gc.enable()
    return module


def page() -> str:
    """The first page of help, with the names of all plug-ins that are installed.

    Example:
        >>> "MAML" in page()
        True
    """
    return PAGE + "".join(f"\n{_listing(group)}\n" for group in GROUPS)


def _listing(group: str) -> str:
    names = sorted({entry.name for entry in importlib.metadata.entry_points(group=group)}, key=str.lower)
    title = f"{group.removeprefix('lifelong.')}: "
    return textwrap.fill(title + ", ".join(names), width=110, subsequent_indent="  ")
