"""Options of nested classes that are set to null, which jsonargparse 4.53 reads as the text "None".

Instead, they are set in the config that names their class, before the configs are parsed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any


def with_nulls(configs: Sequence[dict[str, Any]], options: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Move ``--model.network.n_outputs null`` and similar options into the configs.

    An option is not moved if no config names the class that it belongs to.

    Args:
        configs: the configs, in order.
        options: the command line without its configs.

    Returns:
        The configs and the remaining options.

    Example:
        >>> config = {"data": {"class_path": "A", "init_args": {"sources": [{"class_path": "B"}]}}}
        >>> with_nulls([config], ["--data.sources.seed", "null"])[0][0]["data"]["init_args"]["sources"]
        [{'class_path': 'B', 'init_args': {'seed': None}}]
    """
    changed, left = copy.deepcopy(list(configs)), []
    for words in _options(options):
        name, value = _parsed(words)
        places = [] if value != "null" or name.count(".") < 2 else [_place(config, name) for config in changed]
        nodes = [node for node in places if node is not None]
        for node in nodes:
            node.setdefault("init_args", {})[name.rpartition(".")[2]] = None
        left += [] if nodes else words
    return changed, left


def _options(options: Sequence[str]) -> Iterator[list[str]]:
    """Yield each option with its value."""
    words = list(options)
    while words:
        first = words.pop(0)
        follows = first.startswith("--") and "=" not in first and words and not words[0].startswith("--")
        yield [first, words.pop(0)] if follows else [first]


def _parsed(words: Sequence[str]) -> tuple[str, str | None]:
    name, has_value, value = words[0].removeprefix("--").partition("=")
    return name, value if has_value else (words[1] if len(words) > 1 else None)


def _place(config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the class in a config to which an option's argument belongs. None if there is none."""
    node: Any = config
    for part in name.split(".")[:-1]:
        node = node[-1] if isinstance(node, list) and node else node
        if not isinstance(node, dict):
            return None
        node = node.get("init_args", node).get(part)
    node = node[-1] if isinstance(node, list) and node else node
    return node if isinstance(node, dict) and "class_path" in node else None
