"""Tables as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any


def csv_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a table as comma-separated values, one line per row.

    Args:
        columns: names of the columns.
        rows: rows with one value per column.

    Example:
        >>> csv_table(["method", "score"], [["EWC, strength=1", 0.5]])
        'method,score\\n"EWC, strength=1",0.5\\n'
    """
    memory = io.StringIO()
    csv.writer(memory, lineterminator="\n").writerows([columns, *rows])
    return memory.getvalue()
