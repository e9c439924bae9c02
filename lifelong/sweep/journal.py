"""The journal of a sweep: the results of finished runs as lines of JSON, in one portable file.

Run folders stay on the machine where they were made. With ``--journal FILE``, each finished run appends a line to the
file, and runs with a line are not repeated, also on another machine. A run is identified by its options and the
settings of its config: if either changes, it is run again.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from lifelong.utilities.locks import waiting_for
from lifelong.utilities.plain_yaml import parse_yaml

LEFT_OUT = ("config", "untrained")
"""Entries of the results that a line leaves out, because options and config contain them."""
DIGITS = 6


class Journal:
    """Store the results of finished runs by their identity.

    Args:
        path: path of the file. File and folder are created when the first run finishes.

    Raises:
        ValueError: when a line of the file is invalid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Read the current content of the file, including lines of other sweeps."""
        lines = self.path.read_text(encoding="utf-8").split("\n") if self.path.is_file() else []
        for number, text in enumerate(lines, start=1):
            if text.strip():
                try:
                    line = json.loads(text)
                    self._results[line["run"]] = line["results"]
                except (ValueError, TypeError, KeyError) as error:
                    raise ValueError(f"{self.path}, line {number} is no record of a run: remove the line") from error

    def find(self, run: str) -> dict[str, Any] | None:
        """Return the results of a run, or None if it has no line."""
        return self._results.get(run)

    def add(self, run: str, results: dict[str, Any]) -> None:
        """Append a line, once per run, also if two sweeps write to the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_for(FileLock(self.path.with_name(f".{self.path.name}.lock"))):
            self.read()
            if run not in self._results:
                kept = _rounded({name: value for name, value in results.items() if name not in LEFT_OUT})
                self._results[run] = kept
                line = json.dumps({"run": run, "results": kept}) + "\n"
                # A single write: a process that is killed leaves no partial line.
                with self.path.open("ab", buffering=0) as file:
                    file.write(line.encode())


def identity(options: Sequence[str], config: Path) -> str:
    """Return the identity of a run: its options and the settings of its config, without comments and order.

    Example:
        >>> identity(["--config", "a.yaml"], Path("absent"))
        '--config a.yaml (config 74234e98)'
    """
    return f"{' '.join(options)} (config {_digest(config.read_bytes() if config.is_file() else b'')})"


@functools.lru_cache  # many runs of a sweep share a config
def _digest(content: bytes) -> str:
    # If the content is not a config, hash its bytes; fit reports what is wrong with it.
    with suppress(ValueError, TypeError, RecursionError, yaml.YAMLError):
        content = json.dumps(parse_yaml(content.decode()), sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()[:8]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
