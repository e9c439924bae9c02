"""Safe reading of untrusted YAML, with limits on size, depth and repetition by aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 4 << 20
"""Largest file in bytes. Config files have a few kilobytes; PyYAML needs a second per hundred kilobytes."""
MOST_NODES = 100_000
"""Largest number of values in a file, each counted as often as aliases repeat it."""


def read_yaml(path: Path) -> Any:
    """Read a YAML or JSON file of plain values.

    Args:
        path: path of the file.

    Raises:
        ValueError: naming the file, when it is not YAML, is too large or too deep, or repeats too much by aliases.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a.yaml")
        >>> _ = path.write_text("a: &all [1, 2]\\nb: *all")
        >>> read_yaml(path)
        {'a': [1, 2], 'b': [1, 2]}
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes, and at most {MOST_BYTES} are read")
        return parse_yaml(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path} cannot be read as YAML (it is nested too deeply): give fewer levels") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"{path} cannot be read as YAML ({' '.join(str(error).split())}): correct it") from error


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML text, after :func:`check_aliases`."""
    check_aliases(text)
    return yaml.safe_load(text)


def check_aliases(text: str) -> None:
    """Refuse a YAML text that aliases make much larger than it looks, without expanding them.

    Args:
        text: the YAML text.

    Raises:
        ValueError: when aliases repeat too much, or a value contains itself.
        RecursionError: when the text is nested too deeply.
        yaml.YAMLError: when the text is not YAML.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None and (n_nodes := _count(node, {})) > MOST_NODES:
        raise ValueError(f"it has {n_nodes} values with its aliases written out, and at most {MOST_NODES} are read")


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values of a node as if aliases were expanded."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("a value contains itself by an alias")
        return known[id(node)]
    known[id(node)] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]
