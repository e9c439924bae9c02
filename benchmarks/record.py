"""The record of a sweep: what its finished runs found, one line of JSON each, in a file that can travel.

Run folders stay on the machine that they were made on. With ``sweep.py --record FILE`` every finished run adds a line
to the file, and a run that has one, with the same flags, is not run again, wherever the file is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LEFT_OUT = ("config", "untrained")
"""What a line does without: the flags say what was run."""
DIGITS = 6


class Record:
    """The lines of a file, by the flags of the runs.

    Args:
        path: of the file; made with its folder when the first run finishes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._found: dict[str, dict[str, Any]] = {line["flags"]: line["results"] for line in map(json.loads, lines)}

    def find(self, flags: Iterable[str]) -> dict[str, Any] | None:
        """What a run with these flags found, None where it is not recorded."""
        return self._found.get(" ".join(flags))

    def add(self, flags: Iterable[str], results: dict[str, Any]) -> None:
        """Append a line, once for the same flags."""
        key = " ".join(flags)
        if key in self._found:
            return
        self._found[key] = _rounded({name: value for name, value in results.items() if name not in LEFT_OUT})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"flags": key, "results": self._found[key]}, ensure_ascii=False) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
