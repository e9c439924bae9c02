"""``python -m lifelong list KIND``: list learners, strategies, sources and everything else that an option can name.

Names and descriptions are read from the source code; a class is imported only if this is not possible.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from lifelong.run.configs import find_config, shipped_configs
from lifelong.utilities.source_code import exported, find_definition, first_line, module_tree, plain_line

SENTENCE_END = re.compile(r"(?<!et al)\.\s")


@dataclass(frozen=True)
class Named:
    """Hold something that can be named on the command line.

    Args:
        name: its name there.
        path: dotted import path of the class. Empty if it is not a class.
        entry: entry point by which a package registers it. None if there is none.
        text: description in one line, if it is not in a docstring.
    """

    name: str
    path: str = ""
    entry: importlib.metadata.EntryPoint | None = None
    text: str = ""

    @property
    def package(self) -> str:
        """Return the package that provides it. Empty for lifelong's own."""
        dist = None if self.entry is None else self.entry.dist
        return "" if dist is None or dist.name == "lifelong" else dist.name

    @cached_property
    def says(self) -> str:
        """Return a description in one line. It is read on access, as most uses need only the name."""
        return self.text or _says(self.path)


def listed(kind: str) -> list[Named]:
    """Return everything of a kind, in alphabetical order.

    Args:
        kind: one of ``KINDS``.

    Raises:
        ValueError: when there is no such kind; the message names the most similar one.

    Example:
        >>> [named.says for named in listed("sources") if named.name == "MNIST"]
        ['Read handwritten digits: one domain, ten classes']
    """
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        question = f"did you mean {near[0]}? There are" if near else "there are"
        raise ValueError(f"there is nothing of the kind {kind} to list: {question} {', '.join(KINDS)}")
    return sorted(KINDS[kind][1](), key=lambda named: named.name.lower())


def print_list(args: Sequence[str]) -> None:
    """Print the kinds, or everything of a kind.

    Args:
        args: the command line after ``list``.

    Raises:
        ValueError: when there is no such kind.
    """
    if {"-h", "--help"} & set(args) or not args:
        print("usage: python -m lifelong list KIND\n")
        _print([Named(kind, text=says) for kind, (says, _) in KINDS.items()])
        return
    if len(args) > 1:
        raise ValueError(f"list takes one kind, and {len(args)} are given ({' '.join(args)}): give one after the other")
    _print(listed(args[0]))


def _print(rows: Sequence[Named]) -> None:
    """Print rows; in a terminal, lines are cut to its width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    longest = max((len(row.name) for row in rows), default=0)
    for row in rows:
        source = f" (of the package {row.package})" if row.package else ""
        says = textwrap.shorten(row.says + source, max(width - longest - 2, 20), placeholder=" …")
        print(f"{row.name:<{longest}}  {says}".rstrip())


def plug_ins(group: str) -> list[Named]:
    """Return the classes that installed packages register in a group of entry points.

    Args:
        group: name of the group of entry points.
    """
    entries = {entry.name: entry for entry in importlib.metadata.entry_points(group=group)}
    return [Named(name, entry.value.replace(":", "."), entry) for name, entry in entries.items()]


def _says(path: str) -> str:
    """Return the first sentence of a class's docstring, from its source code if possible, else after importing it."""
    if (found := find_definition(path)) is not None:
        return first_line(found[0])
    module, _, name = path.rpartition(".")
    try:
        text = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    except Exception as error:  # code of another package may raise anything
        return f"cannot be imported ({' '.join(str(error).split())[:100]})"
    return plain_line(text.partition("\n")[0])


def _data(is_module: bool) -> list[Named]:
    return [named for named in plug_ins("lifelong.datamodules") if _makes_streams(named.path) == is_module]


def _makes_streams(path: str) -> bool:
    """Return whether a class is a DataModule, according to its name or the names of its bases."""
    found = find_definition(path)
    bases = found[0].bases if found is not None and isinstance(found[0], ast.ClassDef) else []
    return any(name.endswith("DataModule") for name in (path, *map(ast.unparse, bases)))


def _networks() -> list[Named]:
    names = exported("lifelong.networks")
    return [Named(name, f"lifelong.networks.{name}") for name in names]


def _metrics() -> list[Named]:
    """Return the metrics of every run, which are functions of its scores, and the callbacks that measure more."""
    tree = module_tree("lifelong.evaluation.metrics")
    functions = [node for node in (tree.body if tree else ()) if isinstance(node, ast.FunctionDef)]
    of_scores = [f for f in functions if f.returns is not None and ast.unparse(f.returns) == "Estimate | None"]
    callbacks = [f"lifelong.evaluation.{name}" for name in exported("lifelong.evaluation")]
    asked = [Named(path, path, text=f"{_says(path)} (enabled by --trainer.callbacks)") for path in callbacks]
    return [*(Named(function.name, text=first_line(function)) for function in of_scores), *asked]


def _configs() -> list[Named]:
    return [Named(name, text=_comment(find_config(name).read_text(encoding="utf-8"))) for name in shipped_configs()]


def _comment(text: str) -> str:
    """Return the first sentence of the comment at the top of a file."""
    lines = text.splitlines()
    n = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return SENTENCE_END.split(" ".join(line.lstrip("# ") for line in lines[:n]))[0].rstrip(".")


KINDS: dict[str, tuple[str, Callable[[], list[Named]]]] = {
    "learners": ("how a support set is learnt from: --model", lambda: plug_ins("lifelong.learners")),
    "networks": ("what a learner trains: --model.network", _networks),
    "strategies": ("plug-ins against forgetting: --strategies", lambda: plug_ins("lifelong.strategies")),
    "datamodules": ("how a stream is made of sources: --data", lambda: _data(True)),
    "sources": ("data sets: --data.sources", lambda: _data(False)),
    "configs": ("experiments that ship with lifelong: --config", _configs),
    "metrics": ("what is measured over a stream", _metrics),
}
"""For each kind: what it is, and a function that returns its members."""
