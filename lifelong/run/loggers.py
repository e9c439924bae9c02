"""Weights & Biases: Lightning's logger, which never stops a run and goes on with the same W&B run after a resume."""

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
"""The axes of the charts: the optimizer steps of the whole stream, and the experiences from 1."""
PER_EXPERIENCE = ("val/", "test/")
"""How the names of numbers begin that are measured once after each experience."""
KEPT = "wandb.json"
"""The file in the run folder that says which W&B run goes on there."""
LEAST_ROW_BYTES = 50
"""Bytes of a row in an offline file, which has its time and the names of its values."""
LONGEST_TAG = 64
"""Characters; W&B refuses longer ones."""
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
"""Arguments of ``wandb.init`` and W&B's own environment variables, which decide before them."""


def _safe(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method fail once with a warning, and do nothing from then on: the training is worth more."""

    @functools.wraps(method)
    def wrapped(self: WandB, *args: Any, **kwargs: Any) -> Any:
        if self.is_off:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # whatever W&B raises
            return self.switch_off(error)

    return wrapped


class WandB(Recorded, WandbLogger):
    """Weights & Biases: online for a user who is logged in, offline otherwise; a failure warns once and is let be.

    It is Lightning's ``WandbLogger``, with ``experiment``, ``watch``, ``log_image``, ``log_table`` and ``log_text``. A
    resumed run is the same W&B run: its id is kept in ``wandb.json`` of the run folder. Offline each part has a folder
    of its own with that id, and ``wandb sync runs/NAME/wandb/offline-run-*`` uploads them as one run (wandb up to
    0.29: the later ones with ``--append``). Charts have the optimizer steps of the whole stream as their axis, and
    what is measured once after each experience has the experience. W&B's environment variables (``WANDB_PROJECT``,
    ``WANDB_RUN_GROUP``, ``WANDB_TAGS``, …) decide before the arguments.

    Args:
        project: the project's name.
        run_name: shown in W&B; that of the run folder where None.
        group: of runs that belong together, such as those of a sweep; where None the sweep of a W&B agent
            (``WANDB_SWEEP_ID``), if there is one.
        tags: the classes of learner, strategies and sources where None.
        job_type: the command (``fit``, ``extend``, ``validate`` or ``test``) where None.
        notes: what is said of the run.
        entity: the user or team; the default one of the account where None.
        id: of the W&B run; the one kept in the run folder, or a new one, where None.
        mode: ``auto`` is online with an API key (environment or netrc), else offline; ``WANDB_MODE`` decides first.
        log_model: upload the last checkpoint as an artifact at the end.
        timeout: seconds that going online may take before the run goes offline.
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
        """Write into a run folder from now on, as a run of its own or as the one that was begun there.

        Args:
            folder: of the run.
            labels: what the run is.
        """
        self.folder, self.labels = folder, labels
        self.is_off = False
        """Whether nothing is logged any more: the run is closed, or W&B has failed."""
        self._experiment: Any = None
        self._attach_id: str | None = None
        self._on_experiences: set[str] = set()
        self._first_row: int | None = None

    # -- the run --------------------------------------------------------------------------------------------------

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return W&B's run, started when it is first asked for; once W&B has failed, what takes every call."""
        if self._experiment is None and not self.is_off:
            try:
                self._experiment = self._start()
            except Exception as error:  # whatever W&B raises
                self.switch_off(error)
        return _Nothing() if self._experiment is None else self._experiment

    @property
    def name(self) -> str:
        """Return the project, as Lightning's logger does."""
        return self.project

    @property
    def version(self) -> str | None:
        """Return W&B's id of the run, once there is one."""
        return self.id if self._experiment is None else str(self._experiment.id)

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.folder)

    def switch_off(self, error: Exception) -> None:
        """Log nothing from now on, and say why."""
        self.is_off = True
        message = f"Weights & Biases failed and is switched off: {error}; metrics.csv has everything"
        warnings.warn(message, stacklevel=3)

    def __getstate__(self) -> dict[str, Any]:
        """Let a process that this one starts go on with the same run."""
        attach_id = getattr(self._experiment, "_attach_id", None)  # private in W&B; without it a second run starts
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
        """Log values on the step of the whole stream; those of an experience have it as their axis."""
        values, run = dict(metrics), self.experiment
        if "epoch" in values:
            values[EXPERIENCE] = int(values["epoch"]) + 1
            for name in values.keys() - self._on_experiences:
                if name.startswith(PER_EXPERIENCE) and "*" not in name:  # W&B would take it for a pattern
                    run.define_metric(name, step_metric=EXPERIENCE, step_sync=True)
                    self._on_experiences.add(name)
        run.log(values if step is None else {**values, STEP: step}, step=self._first_row, commit=True)
        self._first_row = None

    @rank_zero_only  # type: ignore[untyped-decorator, unused-ignore]
    def finalize(self, status: str) -> None:
        """Upload the checkpoint when asked, and close the run."""
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
        """As many rows as earlier parts of an offline run have, or more: uploaded rows of the same number are lost."""
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
    """Return a Trainer's loggers as a list, with those of W&B in the run folder.

    Args:
        given: one, some, or False for none.
        folder: of the run.
        labels: what the run is.
    """
    loggers = [given] if isinstance(given, Logger) else list(given or ())
    for logger in loggers:
        if isinstance(logger, WandB):
            logger.place(folder, labels)
    return loggers


class _Nothing:
    """Take every call and do nothing, in the place of a run that there is not."""

    def __getattr__(self, name: str) -> _Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> _Nothing:
        return self
