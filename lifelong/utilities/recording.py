"""Recording of how the objects of a run were created: ``config.yaml`` is the same from Python and the command line."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from lifelong.utilities.recorded import arguments_to_load, init_arguments, is_recorded, made_by

PLAIN = (bool, int, float, str)


def record(value: Any, where: str, unrecorded: list[str], *, to_load: bool = False) -> Any:
    """Return a value as plain data: numbers and texts unchanged, objects as ``class_path`` and ``init_args``.

    Args:
        value: a setting of a run.
        where: name of the setting in the config, such as ``model.network``.
        unrecorded: list that collects the names of what cannot be recorded, which is marked ``unrecorded``.
        to_load: record the objects for loading a checkpoint: files of initial weights are left out.

    Example:
        >>> from strategies import Budget, Replay
        >>> record(Replay(budget=Budget(examples=5)), "strategies", [])["init_args"]["budget"]
        {'examples': 5, 'bytes': None, 'per_class': None}
    """
    if value is None or isinstance(value, PLAIN):
        return _plain(value)
    if isinstance(value, Path):
        return str(value)
    if is_recorded(value):
        return _record_object(value, where, unrecorded, to_load)
    if isinstance(value, Mapping):
        return {str(name): record(part, f"{where}.{name}", unrecorded, to_load=to_load) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [record(part, f"{where}[{n}]", unrecorded, to_load=to_load) for n, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if any(dataclasses.is_dataclass(parent) for parent in type(value).__mro__[1:]):
            return _record_config(value, where, unrecorded)
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return {name: record(getattr(value, name), f"{where}.{name}", unrecorded) for name in fields}
    return _missing(type(value).__name__, where, unrecorded)


def record_factory(factory: Callable[..., Any] | None, where: str, unrecorded: list[str]) -> Any:
    """Return a class, or a ``functools.partial`` of one, as ``class_path`` and ``init_args`` with its defaults.

    Args:
        factory: creates an optimizer or a schedule.
        where: name of the setting in the config.
        unrecorded: list that collects the name if the factory is anything else.

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
    # The first argument is passed by the run: the parameters, or the optimizer.
    _, *parameters = inspect.signature(made).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    arguments = {name: record(value, f"{where}.{name}", unrecorded) for name, value in {**defaults, **given}.items()}
    return {"class_path": class_path(made), "init_args": arguments}


def class_path(made: Callable[..., Any]) -> str:
    """Return the shortest path by which a class or function can be imported.

    Example:
        >>> import torch
        >>> class_path(torch.optim.Adam)
        'torch.optim.Adam'
    """
    parts = made.__module__.split(".")
    for length in range(1, len(parts) + 1):
        package = ".".join(parts[:length])
        if package != "lifelong" and getattr(_imported(package), made.__qualname__, None) is made:
            return f"{package}.{made.__qualname__}"
    return f"{made.__module__}.{made.__qualname__}"


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:  # the class was defined in a module that cannot be imported
        return None


def _plain(value: Any) -> Any:
    """Return a value of a special type, such as NumPy's floats or enumeration members, as a plain one."""
    if value is None or type(value) in PLAIN:
        return value
    value = value.value if isinstance(value, Enum) else value
    return next(kind(value) for kind in PLAIN if isinstance(value, kind))


def _record_config(value: Any, where: str, unrecorded: list[str]) -> dict[str, Any]:
    """Record one of several alternative dataclasses by the fields that differ from their defaults."""
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


def _record_object(value: Any, where: str, unrecorded: list[str], to_load: bool) -> dict[str, Any]:
    if to_load and (other := value.__dict__.get("_without_state")) is not None:
        return record(other, where, unrecorded, to_load=True)  # type: ignore[no-any-return]
    arguments = arguments_to_load(value) if to_load else init_arguments(value)
    parts = {name: record(part, f"{where}.{name}", unrecorded, to_load=to_load) for name, part in arguments.items()}
    return {"class_path": class_path(made_by(value)), "init_args": parts}


def filled(content: Any, config: Any) -> Any:
    """Return plain data in which unrecorded parts are replaced by those of a config in the same place.

    Args:
        content: plain data, as returned by :func:`record`.
        config: config written by the user. None if there is none.

    Example:
        >>> filled({"network": {"unrecorded": "Net"}, "n": 2}, {"network": {"class_path": "mine.Net"}, "n": 1})
        {'network': {'class_path': 'mine.Net'}, 'n': 2}
    """
    if config is None:
        return content
    if isinstance(content, Mapping):
        if set(content) == {"unrecorded"}:
            return config
        named = config if isinstance(config, Mapping) else {}
        return {name: filled(part, named.get(name)) for name, part in content.items()}
    if isinstance(content, list) and isinstance(config, list) and len(content) == len(config):
        return [filled(*parts) for parts in zip(content, config, strict=True)]
    return content
