"""Loggers: a CSV file that survives a resume, and Weights & Biases that never stops a run."""

from __future__ import annotations

import csv
import os
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from lifelong.run.folder import RunFolder
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded


class MetricsCSV(Logger):
    """Write all logged scalars into ``metrics.csv``, one row per step; a resumed run goes on in the same file.

    Args:
        folder: the run folder.
        start_step: rows from this step on are dropped from what an interrupted run wrote, they are done again; and so
            is a last row that is not whole.
    """

    def __init__(self, folder: RunFolder, *, start_step: int | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.rows = self._read(start_step) if start_step is not None else []
        self._columns = dict.fromkeys(name for row in self.rows for name in row)
        self._n_written = 0
        """Rows that the file has as they are; 0 where it must be written anew."""

    @property
    def name(self) -> str:
        """Return the logger's name."""
        return "metrics"

    @property
    def version(self) -> str:
        """Return no version: a run has one file."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.folder.path)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leave the config out: it is in config.yaml and results.json."""

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
        """Append the new rows; where a written row or the header has changed, write the file anew."""
        if self._n_written == 0 and self.rows:
            self.folder.write("metrics.csv", self._write)
        elif new := self.rows[self._n_written :]:
            with (self.folder.path / "metrics.csv").open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerows(new)
        self._n_written = len(self.rows)

    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Leave checkpoints alone."""

    def _write(self, path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def _read(self, start_step: int) -> list[dict[str, float]]:
        path = self.folder.path / "metrics.csv"
        if not path.exists():
            return []
        # A process that was killed may have left half of its last row.
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


class WandB(Recorded, Logger):
    """Weights & Biases: online for a user who is logged in, offline otherwise; a failure warns once and is let be.

    Args:
        project: the project's name.
        run_name: shown in W&B; W&B invents one where None.
        mode: ``auto`` is online with an API key (environment or netrc), else offline; ``WANDB_MODE`` decides first.
        log_model: upload the last checkpoint as an artifact at the end.
        timeout: seconds that going online may take before the run goes offline.
    """

    def __init__(
        self,
        *,
        project: str = "lifelong",
        run_name: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
        log_model: bool = False,
        timeout: float = 30.0,
    ) -> None:
        super().__init__()
        check_number("WandB's timeout", timeout, above=0, hint=" of seconds")
        self.project, self.run_name, self.mode = project, run_name, mode
        self.log_model, self.timeout = log_model, timeout
        self.folder = Path(".")
        self._run: Any = None
        self._failed = False

    def place(self, folder: Path) -> None:
        """Write into a run folder."""
        self.folder = folder

    @property
    def name(self) -> str:
        """Return the project."""
        return self.project

    @property
    def version(self) -> str | None:
        """W&B's id of the run, once there is one."""
        return None if self._run is None else str(self._run.id)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Log the config of the run."""
        values = vars(params) if isinstance(params, Namespace) else params
        self._with_run(lambda run: run.config.update(values, allow_val_change=True))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Scalars on the stream-wide step."""
        self._with_run(lambda run: run.log({**metrics, "trainer/global_step": step}))

    def log_matrix(self, matrix: Any, domains: Sequence[str], picture: Path, step: int) -> None:
        """Log the accuracy matrix as a table and as a heat map."""

        def log(run: Any) -> None:
            import wandb

            rows = [[i + 1, *map(float, row)] for i, row in enumerate(matrix)]
            table = wandb.Table(columns=["after experience", *domains], data=rows)
            run.log({"matrix": table, "heat map": wandb.Image(str(picture)), "trainer/global_step": step})

        self._with_run(log)

    def finalize(self, status: str) -> None:
        """Upload the checkpoint when asked, and close the run."""
        last = self.folder / "checkpoints" / "last.ckpt"

        def finish(run: Any) -> None:
            if self.log_model and last.exists():
                run.log_artifact(str(last), name="last", type="model")
            run.finish(exit_code=0 if status == "success" else 1)

        if self._run is not None:
            self._with_run(finish)
        self._run, self._failed = None, True

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def _with_run(self, action: Callable[[Any], None]) -> None:
        if self._failed:
            return
        try:
            self._run = self._run or self._start()
            action(self._run)
        except Exception as error:  # whatever W&B raises, the training is worth more
            self._failed = True
            warnings.warn(
                f"Weights & Biases failed and is switched off: {error}; metrics.csv has everything", stacklevel=2
            )

    def _start(self) -> Any:
        import wandb

        settings = wandb.Settings(init_timeout=self.timeout, console="off", silent=True)
        settings_of_run: dict[str, Any] = {"project": self.project, "name": self.run_name, "dir": str(self.folder)}
        try:
            return wandb.init(**settings_of_run, mode=self._mode(), settings=settings)
        except wandb.errors.CommError:
            return wandb.init(**settings_of_run, mode="offline", settings=settings)

    def _mode(self) -> Any:
        if given := os.environ.get("WANDB_MODE"):
            return given
        if self.mode != "auto":
            return self.mode
        import wandb

        return "online" if wandb.login(prompt=False, timeout=int(self.timeout)) else "offline"
