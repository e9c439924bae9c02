"""The journal of a sweep: what its finished runs found, one line of JSON each, in a file that can travel.

Run folders stay on the machine that they were made on. With ``--journal FILE`` every finished run adds a line to the
file, and a run that has one is not run again, wherever the file is taken. A run is known by its options and the
settings of its config: when one of them changes, it is run anew.
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
"""What a line does without: options and config say what was run."""
DIGITS = 6


class Journal:
    """Keep the results of finished runs, by what decides a run.

    Args:
        path: of the file; made with its folder when the first run finishes.

    Raises:
        ValueError: when a line is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Take in what is in the file by now, from another sweep as well."""
        lines = self.path.read_text(encoding="utf-8").split("\n") if self.path.is_file() else []
        for number, text in enumerate(lines, start=1):
            if text.strip():
                try:
                    line = json.loads(text)
                    self._results[line["run"]] = line["results"]
                except (ValueError, TypeError, KeyError) as error:
                    raise ValueError(f"{self.path}, line {number} is no record of a run: remove the line") from error

    def find(self, run: str) -> dict[str, Any] | None:
        """Return the results of a run, None where it has no line."""
        return self._results.get(run)

    def add(self, run: str, results: dict[str, Any]) -> None:
        """Append a line, once for the same run, also where two sweeps write to the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_for(FileLock(self.path.with_name(f".{self.path.name}.lock"))):
            self.read()
            if run not in self._results:
                kept = _rounded({name: value for name, value in results.items() if name not in LEFT_OUT})
                self._results[run] = kept
                line = json.dumps({"run": run, "results": kept}) + "\n"
                # In one piece: a process that is killed leaves no half of a line.
                with self.path.open("ab", buffering=0) as file:
                    file.write(line.encode())


def identity(options: Sequence[str], config: Path) -> str:
    """Return what decides a run: its options and the settings of its config, whatever comments and order they have.

    Example:
        >>> identity(["--config", "a.yaml"], Path("absent"))
        '--config a.yaml (config 74234e98)'
    """
    return f"{' '.join(options)} (config {_digest(config.read_bytes() if config.is_file() else b'')})"


@functools.lru_cache  # a sweep has many runs of one config
def _digest(content: bytes) -> str:
    # Of what is no config the bytes stand for the settings, and fit says what is wrong with it.
    with suppress(ValueError, TypeError, RecursionError, yaml.YAMLError):
        content = json.dumps(parse_yaml(content.decode()), sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()[:8]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
