"""The corpus of invalid inputs, each of which must give a one-sentence error."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bad_input.case import answer, problems
from tests.bad_input.corpus import GROUPS


def measure() -> Iterator[dict[str, Any]]:
    """Test all cases, and return one row per group."""
    for group, cases in GROUPS.items():
        row: dict[str, Any] = {"name": group, "tried": len(cases), "tracebacks": 0, "accepted": 0, "poor": 0}
        row["names"] = []
        for case in cases:
            with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = problems(case, answer(case, Path(folder)))
            if found:
                kind = {"a traceback": "tracebacks", "it is accepted": "accepted"}.get(found[0].split(":")[0], "poor")
                row[kind] += 1
                row["names"].append(case.name)
        yield row
