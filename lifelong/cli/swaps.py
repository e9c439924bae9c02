"""Replaced classes: a class that replaces another one starts from its own defaults.

jsonargparse silently keeps arguments of the previous class that the new class also has (its issue 460). Here they are
removed from the configs before the final parsing.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import Namespace


def without_replaced(
    configs: Sequence[dict[str, Any]], result: Namespace, options: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the configs without arguments of replaced classes and without replaced lists.

    Only arguments that the new class requires are kept, such as ``network`` and ``sources``. Options on the command
    line always apply.

    Args:
        configs: the configs, in order.
        result: result of a first parsing, which contains the final classes.
        options: the command line without its configs.
    """
    lists = {option.split("=", 1)[0].removeprefix("--") for option in options if not option.endswith("+")}
    whole = [_without_lists(config, lists) for config in configs]
    return [_pruned(config, result) for config in whole]


def _without_lists(config: Mapping[str, Any], replaced: set[str], prefix: str = "") -> dict[str, Any]:
    """Return a config without the lists that an option replaces, so that their elements are not merged by position."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        name = prefix + key
        if isinstance(value, list) and name in replaced and any(isinstance(v, Mapping) for v in value):
            continue
        if isinstance(value, Mapping):
            inner = prefix if key == "init_args" else f"{name}."
            value = _without_lists(value, replaced, inner)
        kept[key] = value
    return kept


def _pruned(value: Any, result: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _pruned(part, _get(result, key)) for key, part in value.items()}
        old, new = value.get("class_path"), _get(result, "class_path")
        if isinstance(old, str) and isinstance(new, str) and _resolve(old) is not _resolve(new):
            required = _required(_resolve(new))
            arguments = {name: part for name, part in kept.get("init_args", {}).items() if name in required}
            return {"class_path": new, "init_args": arguments}
        return kept
    if isinstance(value, list) and isinstance(result, list):
        return [_pruned(part, result[i] if i < len(result) else None) for i, part in enumerate(value)]
    if isinstance(value, str) and isinstance(_get(result, "class_path"), str):
        return _get(result, "class_path") if _names_another(value, _get(result, "class_path")) else value
    return value


def _names_another(name: str, path: str) -> bool:
    return name.rpartition(".")[2] != path.rpartition(".")[2]


def _get(tree: Any, key: str) -> Any:
    if isinstance(tree, (Namespace, Mapping)):
        return tree.get(key)
    return None


def _resolve(path: str) -> Any:
    """Return the class or function of an import path. A bare name is returned unchanged, as its module is unknown."""
    module, _, name = path.rpartition(".")
    if not module:
        return name
    try:
        resolved = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return path
    return resolved


def _required(made: Any) -> set[str]:
    """Return the names of the arguments without a default."""
    if not callable(made):
        return set()
    parameters = inspect.signature(made).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind in kinds}
