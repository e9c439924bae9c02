"""Writing down how the objects of a run were made: the same ``config.yaml`` from Python as from the command line."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifelong.utilities.recorded import init_arguments, is_recorded, made_by

PLAIN = (bool, int, float, str, type(None))


def record(value: Any, where: str, unrecorded: list[str]) -> Any:
    """Return a value as plain data: numbers and texts as they are, objects as ``class_path`` and ``init_args``.

    Args:
        value: a setting of a run.
        where: its name in the config, such as ``model.network``.
        unrecorded: collects the names of what cannot be written down, which stands as ``unrecorded``.

    Example:
        >>> from strategies import Budget, Replay
        >>> record(Replay(budget=Budget(examples=5)), "strategies", [])["init_args"]["budget"]
        {'examples': 5, 'bytes': None, 'per_class': None}
    """
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Path):
        return str(value)
    if is_recorded(value):
        return _record_object(value, where, unrecorded)
    if isinstance(value, Mapping):
        return {str(name): record(part, f"{where}.{name}", unrecorded) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [record(part, f"{where}[{place}]", unrecorded) for place, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if any(dataclasses.is_dataclass(parent) for parent in type(value).__mro__[1:]):
            return _record_config(value, where, unrecorded)
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return {name: record(getattr(value, name), f"{where}.{name}", unrecorded) for name in fields}
    return _missing(type(value).__name__, where, unrecorded)


def record_factory(factory: Callable[..., Any] | None, where: str, unrecorded: list[str]) -> Any:
    """Return a class, or a ``functools.partial`` of one, as ``class_path`` and ``init_args`` with its defaults.

    Args:
        factory: what makes an optimizer or a schedule.
        where: its name in the config.
        unrecorded: collects its name where it is anything else.

    Example:
        >>> import torch
        >>> record_factory(functools.partial(torch.optim.SGD, lr=0.1), "optimizer", [])["init_args"]["lr"]
        0.1
    """
    if factory is None:
        return None
    given: Mapping[str, Any] = {}
    made: Any = factory
    if isinstance(factory, functools.partial) and not factory.args:
        made, given = factory.func, factory.keywords
    if not isinstance(made, type):
        return _missing(getattr(made, "__name__", type(made).__name__), where, unrecorded)
    # The first argument is what it is made for: the parameters, or the optimizer.
    _, *parameters = inspect.signature(made).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    arguments = {name: record(value, f"{where}.{name}", unrecorded) for name, value in {**defaults, **given}.items()}
    return {"class_path": class_path(made), "init_args": arguments}


def class_path(made: Callable[..., Any]) -> str:
    """Return the shortest path that a class or function can be imported by.

    Example:
        >>> import torch
        >>> class_path(torch.optim.Adam)
        'torch.optim.Adam'
    """
    parts = made.__module__.split(".")
    for length in range(1, len(parts) + 1):
        package = ".".join(parts[:length])
        if package != "lifelong" and getattr(importlib.import_module(package), made.__qualname__, None) is made:
            return f"{package}.{made.__qualname__}"
    return f"{made.__module__}.{made.__qualname__}"


def _record_config(value: Any, where: str, unrecorded: list[str]) -> dict[str, Any]:
    """Record one of several dataclasses that may stand in a place, by what differs from its defaults."""
    defaults, arguments = type(value)(), {}
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if field.init and part != getattr(defaults, field.name):
            plain = sorted(part) if isinstance(part, (set, frozenset)) else part
            arguments[field.name] = record(plain, f"{where}.{field.name}", unrecorded)
    return {"class_path": class_path(type(value)), "init_args": arguments}


def _missing(kind: str, where: str, unrecorded: list[str]) -> dict[str, str]:
    unrecorded.append(f"{where} ({kind})")
    return {"unrecorded": kind}


def _record_object(value: Any, where: str, unrecorded: list[str]) -> dict[str, Any]:
    arguments = init_arguments(value)
    parts = {name: record(part, f"{where}.{name}", unrecorded) for name, part in arguments.items()}
    return {"class_path": class_path(made_by(value)), "init_args": parts}
