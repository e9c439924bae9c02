"""Trust: which classes the config beside a checkpoint may name, decided before anything that it names is imported."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import set_parsing_settings

from lifelong.utilities.plugins import GROUPS

try:
    from jsonargparse._common import parsing_settings
except ImportError:
    # Then what is set below stays set: more is refused afterwards, and never less.
    parsing_settings = {}

OURS = (
    "lifelong",
    "strategies",
    "datamodules",
    "torch.nn",
    "torch.optim",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
)
"""What any config may name, beside installed plug-ins: their constructors run no code that an argument names."""
POLICY = ("import_path_verdicts", "import_paths_enforced")
"""Private settings of jsonargparse 4.53 that hold what may be imported; its public function can only add to them."""
DENIED = re.compile(r"Importing '([\w.]+)' is not allowed")
CLASS = re.compile(r"(?<![\w./\\-])([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+(?![\w./\\-])")

Limits = Callable[[], AbstractContextManager[None]]


def limits_of(
    file: Path | None, config: Mapping[str, Any], root: str, trust: bool, way_out: str, options: Sequence[str] = ()
) -> Limits:
    """Return what keeps a config from importing what its reader has not chosen; nothing for one below the run root.

    Args:
        file: the config beside a checkpoint; None where none is read.
        config: what it says.
        root: the folder of the person's own runs.
        trust: all that the config names may be imported.
        way_out: how a person says so.
        options: a command line, and what is in the files that it names; the packages of its classes are trusted.

    Returns:
        A context manager, for the block in which the config is made into objects.
    """
    if file is None or trust or file.resolve().is_relative_to(Path(root).resolve()):
        return nullcontext
    return partial(only_plugins, file, config, f"is not below the run root {root}: {way_out}", options)


@contextmanager
def only_plugins(file: Path, config: Mapping[str, Any], way_out: str, options: Sequence[str] = ()) -> Iterator[None]:
    """Let a config import installed plug-ins, and what a person has named, within a block.

    Classes that stand as ``class_path`` are looked at first. A class may also be named by a text alone, inside a text
    of YAML or in another file: jsonargparse, which imports it, asks for leave each time, and is told here what has it.

    Raises:
        ValueError: naming the class, the file and the way out, before anything is imported.
    """
    allowed = (*OURS, *_plugin_packages(), *_named(options))
    for path in _class_paths(config):
        if "." in path and not any(f"{path}.".startswith(f"{package}.") for package in allowed):
            raise ValueError(_sentence(path, file, way_out))
    before = {name: parsing_settings[name] for name in POLICY if name in parsing_settings}
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=list(dict.fromkeys(allowed)))
    try:
        yield
    except Exception as error:
        if denied := _denied(error):
            raise ValueError(_sentence(denied, file, way_out)) from error
        raise
    finally:
        parsing_settings.update(before)


def _sentence(path: str, file: Path, way_out: str) -> str:
    return f"{path} in {file} is of no installed plug-in, so it is not imported: the run {way_out}"


def _class_paths(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(path := value.get("class_path"), str):
            yield path
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _class_paths(part)


def _plugin_packages() -> set[str]:
    entries = [entry for group in GROUPS for entry in importlib.metadata.entry_points(group=group)]
    return {entry.module.partition(".")[0] for entry in entries}


def _named(options: Sequence[str]) -> set[str]:
    """The packages of classes that a command line names; a file that is there is none, and Python's own are not meant.

    Example:
        >>> sorted(_named(["--model.network=mine.Net", "--data.sources=[{class_path: other.Set, init_args: {n: 1}}]"]))
        ['mine', 'other']
    """
    matches = [match for option in options for match in CLASS.finditer(option)]
    return {match[1] for match in matches if not os.path.exists(match[0]) and match[1] not in sys.stdlib_module_names}


def _denied(error: BaseException | None) -> str | None:
    """Find the import that jsonargparse refused, behind an error that it or others made of it."""
    while error is not None:
        if match := DENIED.search(str(error)):
            return match[1]
        error = error.__cause__ or error.__context__
    return None
