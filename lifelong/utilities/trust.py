"""Trust: which classes the config of a checkpoint may name, decided before any of them is imported."""

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
    # The limits set below then stay in force after the block: more is refused, and never less.
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
"""Packages that any config may name besides plug-ins, as their constructors run no code named by an argument."""
POLICY = ("import_path_verdicts", "import_paths_enforced")
"""Private settings of jsonargparse 4.53 with the allowed imports; its public function can only add to them."""
DENIED = re.compile(r"Importing '([\w.]+)' is not allowed")
CLASS = re.compile(r"(?<![\w./\\-])([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+(?![\w./\\-])")

Limits = Callable[[], AbstractContextManager[None]]


def limits_of(
    file: Path | None, config: Mapping[str, Any], root: str, trust: bool, way_out: str, options: Sequence[str] = ()
) -> Limits:
    """Return the import limits of a config. A config below the folder of runs is not limited.

    Args:
        file: path of the config of a checkpoint. None if no config is read.
        config: content of the config.
        root: folder of the user's own runs.
        trust: whether the config may import everything that it names.
        way_out: how the user can trust the config, for the message.
        options: the command line and the content of its config files. The packages of classes in them are trusted.

    Returns:
        A function that returns a context manager, for the block in which objects are created from the config.
    """
    if file is None or trust or file.resolve().is_relative_to(Path(root).resolve()):
        return nullcontext
    return partial(only_plugins, file, config, f"is not below the run root {root}: {way_out}", options)


@contextmanager
def only_plugins(file: Path, config: Mapping[str, Any], way_out: str, options: Sequence[str] = ()) -> Iterator[None]:
    """Limit a config to installed plug-ins and to packages that the user has named, within a block.

    Classes given as ``class_path`` are checked first. A class may also be named by a text, within a YAML text or in
    another file. These are checked by jsonargparse, which asks before each import and receives the same list of
    packages.

    Raises:
        ValueError: naming the class, the file and a solution, before anything is imported.
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
    """Return the packages of classes on a command line; existing files and the standard library are not included.

    Example:
        >>> sorted(_named(["--model.network=mine.Net", "--data.sources=[{class_path: other.Set, init_args: {n: 1}}]"]))
        ['mine', 'other']
    """
    matches = [match for option in options for match in CLASS.finditer(option)]
    return {match[1] for match in matches if not os.path.exists(match[0]) and match[1] not in sys.stdlib_module_names}


def _denied(error: BaseException | None) -> str | None:
    """Return the import that jsonargparse refused, searching the causes of an error."""
    while error is not None:
        if match := DENIED.search(str(error)):
            return match[1]
        error = error.__cause__ or error.__context__
    return None
