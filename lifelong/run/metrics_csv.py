"""A logger that writes scalars to a CSV file and continues it after a resume."""

from __future__ import annotations

import csv
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from lifelong.run.folder import RunFolder


class MetricsCSV(Logger):
    """Write all logged scalars to ``metrics.csv``, one row per step; a resumed run continues the file.

    Args:
        folder: the run folder.
        start_step: drop the rows from this step on, as a resumed run repeats these steps. An incomplete last row is
            dropped too.
    """

    def __init__(self, folder: RunFolder, *, start_step: int | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.rows = self._read(start_step) if start_step is not None else []
        self._columns = dict.fromkeys(name for row in self.rows for name in row)
        self._n_written = 0
        """Number of rows that the file already contains unchanged. 0 if the file must be rewritten."""

    @property
    def name(self) -> str:
        """Return the logger's name."""
        return "metrics"

    @property
    def version(self) -> str:
        """Return an empty version, as a run has one file."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.folder.path)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Ignore the config, which is in config.yaml and results.json."""

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of a step."""
        number = 0 if step is None else step
        if not self.rows or self.rows[-1]["step"] != number:
            self.rows.append({"step": number})
        row, n_columns = self.rows[-1], len(self._columns)
        row.update({k: float(v) for k, v in metrics.items()})
        self._columns.update(dict.fromkeys(row))
        if len(self.rows) == self._n_written or len(self._columns) > n_columns:
            self._n_written = 0

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def save(self) -> None:
        """Append the new rows, or rewrite the file if a written row or the header has changed."""
        if self._n_written == 0 and self.rows:
            self.folder.write("metrics.csv", self._write)
        elif new := self.rows[self._n_written :]:
            with (self.folder.path / "metrics.csv").open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerows(new)
        self._n_written = len(self.rows)

    def finalize(self, status: str) -> None:
        """Write the remaining rows."""
        self.save()

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Ignore checkpoints."""

    def _write(self, path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def _read(self, start_step: int) -> list[dict[str, float]]:
        path = self.folder.path / "metrics.csv"
        if not path.exists():
            return []
        # A killed process may have left an incomplete last row.
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        lines = whole.decode("utf-8", errors="replace").splitlines()
        rows: list[dict[str, float]] = []
        try:
            for row in csv.DictReader(lines, strict=True):
                values = {name: float(value) for name, value in row.items() if value}
                rows.append({**values, "step": int(values["step"])})
        except (ValueError, TypeError, KeyError, csv.Error):
            warnings.warn(f"{path} cannot be read from row {len(rows) + 1} on: what follows is dropped", stacklevel=2)
        return [row for row in rows if row["step"] < start_step]
