"""A single class for an option that takes a list of classes: ``--strategies EWC`` is ``--strategies [EWC]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LISTS = ("strategies", "sources", "unseen", "callbacks")
"""Options that take a list of classes, by the last part of their names."""
NO_CLASS = ("", "null", "none", "true", "false")
"""Values that are not classes, in lower case."""


def with_lists(options: Sequence[str]) -> list[str]:
    """Turn single classes on a command line into lists, for options that take a list.

    Args:
        options: the command line without its configs.

    Example:
        >>> with_lists(["--strategies", "EWC", "--strategies.strength", "1", "--data.sources={class_path: Glyphs}"])
        ['--strategies', '[EWC]', '--strategies.strength', '1', '--data.sources=[{class_path: Glyphs}]']
    """
    changed = []
    for before, word in zip(["", *options], options, strict=False):
        name, has_value, value = word.partition("=")
        if word.startswith("--") and has_value and _takes_list(name):
            word = f"{name}={_listed(value)}"
        elif not word.startswith("--") and _takes_list(before):
            word = _listed(word)
        changed.append(word)
    return changed


def with_lists_inside(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turn single classes in a config into lists, at any depth.

    Args:
        config: the config, as read from its file.

    Example:
        >>> with_lists_inside({"strategies": "EWC", "data": {"init_args": {"sources": {"class_path": "Glyphs"}}}})
        {'strategies': ['EWC'], 'data': {'init_args': {'sources': [{'class_path': 'Glyphs'}]}}}
    """
    changed: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            value = with_lists_inside(value)
        is_class = isinstance(value, str) and value.lower() not in NO_CLASS and not value.startswith("[")
        is_class |= isinstance(value, dict) and "class_path" in value
        changed[key] = [value] if key in LISTS and is_class else value
    return changed


def _takes_list(option: str) -> bool:
    return option.startswith("--") and option.removeprefix("--").rpartition(".")[2] in LISTS


def _listed(value: str) -> str:
    return value if value.startswith("[") or value.strip().lower() in NO_CLASS else f"[{value}]"
