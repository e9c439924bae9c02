"""Weights & Biases: Lightning's logger, which never stops a run and continues the same W&B run after a resume."""

from __future__ import annotations

import functools
import json
import os
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from lifelong.run.labels import RunLabels
from lifelong.utilities.files import write_json
from lifelong.utilities.quiet import say
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

STEP, EXPERIENCE = "trainer/global_step", "experience"
"""Axes of the charts: optimizer steps of the whole stream, and experiences counted from 1."""
PER_EXPERIENCE = ("val/", "test/")
"""Prefixes of the metrics that are measured once after each experience."""
KEPT = "wandb.json"
"""File in the run folder that stores the id of the W&B run."""
LEAST_ROW_BYTES = 50
"""Smallest size of a row in an offline file, in bytes: it contains the time and the names of its values."""
LONGEST_TAG = 64
"""Longest tag in characters; W&B refuses longer ones."""
VARIABLES = {
    "project": "WANDB_PROJECT",
    "entity": "WANDB_ENTITY",
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "tags": "WANDB_TAGS",
    "job_type": "WANDB_JOB_TYPE",
    "notes": "WANDB_NOTES",
    "id": "WANDB_RUN_ID",
    "resume": "WANDB_RESUME",
    "dir": "WANDB_DIR",
}
"""Maps arguments of ``wandb.init`` to W&B's environment variables, which take precedence."""


def _safe(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method fail only once, with a warning, and do nothing afterwards, so that training continues."""

    @functools.wraps(method)
    def wrapped(self: WandB, *args: Any, **kwargs: Any) -> Any:
        if self.is_off:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # W&B may raise anything
            return self.switch_off(error)

    return wrapped


class WandB(Recorded, WandbLogger):
    """Log to Weights & Biases: online if logged in, otherwise offline; a failure gives one warning and stops logging.

    This is Lightning's ``WandbLogger``, with ``experiment``, ``watch``, ``log_image``, ``log_table`` and ``log_text``.
    A resumed run continues the same W&B run: its id is stored in ``wandb.json`` of the run folder. Offline, each part
    of a run has its own folder with that id, and ``wandb sync runs/NAME/wandb/offline-run-*`` uploads them as one run
    (up to wandb 0.29; the later parts with ``--append``). The x-axis is the optimizer step of the whole stream; for
    metrics that are measured once per experience, it is the experience. W&B's environment variables (``WANDB_PROJECT``,
    ``WANDB_RUN_GROUP``, ``WANDB_TAGS``, …) take precedence over the arguments.

    Args:
        project: the project's name.
        run_name: name shown in W&B. Default: the name of the run folder.
        group: name of a group of runs, such as a sweep. Default: the sweep of a W&B agent (``WANDB_SWEEP_ID``), if
            there is one.
        tags: tags of the run. Default: class names of the learner, the strategies and the sources.
        job_type: type of the run. Default: the command (``fit``, ``extend``, ``validate`` or ``test``).
        notes: a description of the run.
        entity: the user or team. Default: that of the account.
        id: id of the W&B run. Default: the id stored in the run folder, or else a new one.
        mode: ``auto`` is online with an API key (environment or netrc), else offline. ``WANDB_MODE`` takes precedence.
        log_model: upload the last checkpoint as an artifact at the end.
        timeout: seconds to wait for a connection before the run continues offline.
    """

    def __init__(
        self,
        *,
        project: str = "lifelong",
        run_name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] | None = None,
        job_type: str | None = None,
        notes: str | None = None,
        entity: str | None = None,
        id: str | None = None,
        mode: Literal["auto", "online", "offline"] = "auto",
        log_model: bool = False,
        timeout: float = 30.0,
    ) -> None:
        check_number("WandB's timeout", timeout, above=0, hint=" of seconds")
        super().__init__(project=project, log_model=log_model)
        self.project, self.run_name, self.group, self.tags = project, run_name, group, tags
        self.job_type, self.notes, self.entity, self.id = job_type, notes, entity, id
        self.mode, self.log_model, self.timeout = mode, log_model, timeout
        self.place(Path("."), RunLabels())

    def place(self, folder: Path, labels: RunLabels) -> None:
        """Log into a run folder from now on, as a new W&B run or as the one that was begun there.

        Args:
            folder: the run folder.
            labels: labels of the run.
        """
        self.folder, self.labels = folder, labels
        self.is_off = False
        """Whether logging has stopped: the run is closed, or W&B has failed."""
        self._experiment: Any = None
        self._attach_id: str | None = None
        self._on_experiences: set[str] = set()
        self._first_row: int | None = None

    # -- the run --------------------------------------------------------------------------------------------------

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return W&B's run, started on first use. After a failure of W&B, return an object that ignores every call."""
        if self._experiment is None and not self.is_off:
            try:
                self._experiment = self._start()
            except Exception as error:  # W&B may raise anything
                self.switch_off(error)
        return _Nothing() if self._experiment is None else self._experiment

    @property
    def name(self) -> str:
        """Return the project, like Lightning's logger."""
        return self.project

    @property
    def version(self) -> str | None:
        """Return the id of the W&B run, once there is one."""
        return self.id if self._experiment is None else str(self._experiment.id)

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.folder)

    def switch_off(self, error: Exception) -> None:
        """Stop logging, and warn with the reason."""
        self.is_off = True
        message = f"Weights & Biases failed and is switched off: {error}; metrics.csv has everything"
        warnings.warn(message, stacklevel=3)

    def __getstate__(self) -> dict[str, Any]:
        """Prepare the logger for a process that this one starts, which logs to the same run."""
        attach_id = getattr(self._experiment, "_attach_id", None)  # private in W&B; without it, a second run starts
        return {**self.__dict__, "_experiment": None, "_attach_id": attach_id}

    # -- what is logged -------------------------------------------------------------------------------------------

    watch = _safe(WandbLogger.watch)
    log_image = _safe(WandbLogger.log_image)
    log_table = _safe(WandbLogger.log_table)
    log_text = _safe(WandbLogger.log_text)
    after_save_checkpoint = _safe(WandbLogger.after_save_checkpoint)

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    @_safe
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Log the config of the run."""
        values = vars(params) if isinstance(params, Namespace) else params
        self.experiment.config.update(values, allow_val_change=True)

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    @_safe
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values by the step of the whole stream, or by the experience for those measured once per experience."""
        values, run = dict(metrics), self.experiment
        if "epoch" in values:
            values[EXPERIENCE] = int(values["epoch"]) + 1
            for name in values.keys() - self._on_experiences:
                if name.startswith(PER_EXPERIENCE) and "*" not in name:  # W&B would treat the name as a pattern
                    run.define_metric(name, step_metric=EXPERIENCE, step_sync=True)
                    self._on_experiences.add(name)
        run.log(values if step is None else {**values, STEP: step}, step=self._first_row, commit=True)
        self._first_row = None

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def finalize(self, status: str) -> None:
        """Upload the checkpoint if requested, and close the run."""
        if self._experiment is not None:
            self._finish(status)
        self._experiment, self.is_off = None, True

    @_safe
    def _finish(self, status: str) -> None:
        last = self.folder / "checkpoints" / "last.ckpt"
        super().finalize(status)
        if self.log_model and last.exists():
            self._experiment.log_artifact(str(last), name="last", type="model")
        self._experiment.finish(exit_code=0 if status == "success" else 1)

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self) -> Any:
        import wandb

        if self._attach_id is not None:
            return wandb._attach(self._attach_id)  # type: ignore[attr-defined]
        arguments = self._arguments()
        settings = wandb.Settings(init_timeout=self.timeout, console="off", silent=True)
        try:
            run = wandb.init(**arguments, mode=self._mode(), settings=settings)
        except wandb.errors.CommError:
            run = wandb.init(**arguments, mode="offline", settings=settings)
        run.define_metric(STEP)
        run.define_metric(EXPERIENCE)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        if self.labels.job_type in ("fit", "extend"):
            write_json(self.folder / KEPT, {"id": run.id, "project": run.project, "entity": run.entity})
        if run.offline:
            self._first_row = self._rows_before(run.id)
        elif run.url:
            say(f"Weights & Biases: {run.url}")
        return run

    def _rows_before(self, run_id: str) -> int | None:
        """Return an upper bound of the rows in an offline run so far: uploaded rows with equal numbers are lost."""
        files = (self.folder / "wandb").glob(f"offline-run-*-{run_id}/*.wandb")
        return sum(file.stat().st_size for file in files) // LEAST_ROW_BYTES or None

    def _arguments(self) -> dict[str, Any]:
        labels = self.labels
        arguments: dict[str, Any] = {
            "project": self.project,
            "entity": self.entity,
            "name": self.run_name or labels.name,
            "group": self.group or os.environ.get("WANDB_SWEEP_ID"),
            "tags": [tag[:LONGEST_TAG] for tag in (labels.tags if self.tags is None else self.tags)] or None,
            "job_type": self.job_type or labels.job_type,
            "notes": self.notes,
            "id": self.id or (self._kept_id() if labels.goes_on else None),
            "resume": "allow",
            "dir": str(self.folder),
        }
        for name, variable in VARIABLES.items():
            if given := os.environ.get(variable):
                arguments[name] = given.split(",") if name == "tags" else given
        return arguments

    def _kept_id(self) -> str | None:
        file = self.folder / KEPT
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["id"]) if file.is_file() else None
        except (ValueError, KeyError, TypeError):
            warnings.warn(f"{file} cannot be read: the run goes on as a new one in Weights & Biases", stacklevel=2)
            return None

    def _mode(self) -> Any:
        if given := os.environ.get("WANDB_MODE"):
            return given
        if self.mode != "auto":
            return self.mode
        import wandb

        return "online" if wandb.login(prompt=False, timeout=int(self.timeout)) else "offline"


def placed(given: Logger | Sequence[Logger] | Literal[False], folder: Path, labels: RunLabels) -> list[Logger]:
    """Return a Trainer's loggers as a list, and make those of W&B write to the run folder.

    Args:
        given: a logger, several, or False for none.
        folder: the run folder.
        labels: labels of the run.
    """
    loggers = [given] if isinstance(given, Logger) else list(given or ())
    for logger in loggers:
        if isinstance(logger, WandB):
            logger.place(folder, labels)
    return loggers


class _Nothing:
    """Accept every call and do nothing; it replaces a W&B run that is not available."""

    def __getattr__(self, name: str) -> _Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> _Nothing:
        return self
