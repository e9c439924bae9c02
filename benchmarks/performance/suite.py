"""What a suite of measurements is, and how what it found is kept, printed and drawn."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from matplotlib.figure import Figure
from rich.table import Table

from lifelong.compute.measuring import device_name

Precision = Literal["fp32", "tf32", "bf16"]
Rows = list[dict[str, Any]]
"""What was measured: numbers and words by name, ready for JSON; one row is told from others by its ``setup``."""


@dataclass(frozen=True)
class Settings:
    """What a suite is told.

    Args:
        device: where learners train.
        quick: measure less, to see that everything runs; such figures are not kept.
        only: measure the rows whose names contain one of these words; all where empty.
        precision: of products and convolutions, for everyone: ``fp32`` as they are, ``tf32`` by a GPU's matrix units,
            ``bf16`` under autocast.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    quick: bool = False
    only: Sequence[str] = ()
    precision: Precision = "fp32"

    def autocast(self) -> torch.autocast:
        """What a step runs in; one for each, as the weights that it keeps in halves are those of before the step."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def wants(self, name: str) -> bool:
        """Whether a row of this name is asked for."""
        return not self.only or any(word in name for word in self.only)


class Suite(Protocol):
    """A module of this package."""

    def measure(self, settings: Settings, tell: Callable[[str], None]) -> Iterable[dict[str, Any]]:
        """Measure, row by row; ``tell`` shows a person what is being measured."""

    def tables(self, rows: Rows) -> list[Table]:
        """What a person reads."""

    def plot(self, rows: Rows) -> Figure | None:
        """What a person looks at."""


def set_precision(precision: Precision) -> None:
    """Let products in single precision be as exact as that, convolutions too."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        {'median': 2.0, 'low': 1.0, 'high': 3.0}
    """
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def words(found: Mapping[str, float], digits: int = 2, unit: str = "") -> str:
    """A spread as a cell of a table.

    Example:
        >>> words({"median": 2.0, "low": 1.0, "high": 3.0}, 1, " ms")
        '2.0 ms (1.0 … 3.0)'
    """
    return f"{found['median']:.{digits}f}{unit} ({found['low']:.{digits}f} … {found['high']:.{digits}f})"


def markdown(table: Table) -> str:
    """A table as a document has it.

    Example:
        >>> table = Table("learner", title="seconds")
        >>> table.add_row("MAML")
        >>> print(markdown(table))
        **seconds**
        <BLANKLINE>
        | learner |
        |:---|
        | MAML |
    """
    heads = [str(column.header) for column in table.columns]
    sides = ["---:" if column.justify == "right" else ":---" for column in table.columns]
    rows = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    lines.insert(1, f"|{'|'.join(sides)}|")
    return "\n".join([f"**{table.title}**", "", *lines])


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
    }


def save(path: Path, rows: Rows, device: torch.device) -> Rows:
    """Keep what was found beside the other rows of the file, each with machine, date and command; all that are kept.

    Args:
        path: of the file.
        rows: what was measured.
        device: on which.
    """
    about = machine(device)
    fresh = {row["setup"]: {**row, "machine": about} for row in rows}
    before = load(path) if path.is_file() else []
    kept = [fresh.pop(row["setup"], row) for row in before]  # each in its place
    kept += fresh.values()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return kept


def load(path: Path) -> Rows:
    """What :func:`save` kept."""
    found: Rows = json.loads(path.read_text(encoding="utf-8"))
    return found
