"""The progress bar of a stream: current experience, estimated time left for the whole stream, loss and score."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar
from tqdm.contrib.logging import logging_redirect_tqdm

from lifelong.data.stream_datamodule import StreamDataModule, stream_data
from lifelong.evaluation.tables import shorten
from lifelong.run.time_left import TimeLeft, shown_left
from lifelong.utilities.recorded import Recorded

LOGGERS = ("", "lightning", "lightning.pytorch", "lightning.fabric", "lifelong")
"""Loggers whose messages may appear while a bar is shown."""
ROOM = 44
"""Columns reserved next to the name in a bar: percentage, a short bar, counts, loss and score."""
LEAST = 6
"""Smallest number of letters of a name, however narrow the terminal is."""


class StreamProgress(Recorded, TQDMProgressBar):
    """Show Lightning's bar with experience, time left and score on one line; hidden outside a terminal or notebook."""

    BAR_FORMAT = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"

    def __init__(self) -> None:
        super().__init__(refresh_rate=5 if is_watched() else 0)
        self._left: TimeLeft | None = None
        self._shown = ""
        self._since, self._of_untrained = 0.0, 0.0

    @property
    def sanity_check_description(self) -> str:
        """Return the name of the evaluation before the first step, that of the untrained learner."""
        return "before learning"

    @property
    def train_description(self) -> str:
        """Return the name of the training bar until the first experience begins."""
        return "stream"

    @property
    def validation_description(self) -> str:
        """Return the name of the evaluation after an experience."""
        return "evaluating"

    @property
    def predict_description(self) -> str:
        """Return the name of the predictions."""
        return "predicting"

    def on_sanity_check_start(self, *args: Any) -> None:
        """Time the evaluation of the untrained learner, to estimate the following ones."""
        super().on_sanity_check_start(*args)
        self._since = time.monotonic()

    def on_sanity_check_end(self, *args: Any) -> None:
        """Record the time of the evaluation."""
        super().on_sanity_check_end(*args)
        self._of_untrained = time.monotonic() - self._since

    # The next four start a bar instead of Lightning, which would call it "Epoch 0" or "DataLoader 0" for a moment.

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Start the bar of an experience."""
        self._begin(trainer)
        self.train_progress_bar.reset(int(trainer.num_training_batches))

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Start the bar of an evaluated domain."""
        if self.has_dataloader_changed(dataloader_idx):
            description = self.sanity_check_description if trainer.sanity_checking else self.validation_description
            self.val_progress_bar.set_description(f"{description}{self._domain(trainer, dataloader_idx)}", False)
            self.val_progress_bar.reset(self.total_val_batches_current_dataloader)

    def on_test_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Start the bar of a tested domain."""
        if self.has_dataloader_changed(dataloader_idx):
            self.test_progress_bar.set_description(f"testing{self._domain(trainer, dataloader_idx)}", False)
            self.test_progress_bar.reset(self.total_test_batches_current_dataloader)

    def on_predict_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Start the bar of a predicted domain, or of the user's batches."""
        if self.has_dataloader_changed(dataloader_idx):
            self.predict_progress_bar.set_description(f"predicting{self._domain(trainer, dataloader_idx)}", False)
            self.predict_progress_bar.reset(self.total_predict_batches_current_dataloader)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Update the time left from time to time."""
        if self._left is None:  # a run that continues within an experience skips its start
            self.train_progress_bar.total = int(trainer.num_training_batches)
        seconds = (self._left or self._begin(trainer)).step(batch_idx + 1)
        if self._should_update(batch_idx + 1, self.train_progress_bar.total):
            self._shown = shown_left(seconds)
            self._describe(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Time the evaluation after an experience."""
        super().on_validation_start(trainer, pl_module)
        if not trainer.sanity_checking:
            self._since = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the time of the evaluation."""
        super().on_validation_end(trainer, pl_module)
        if self._left is not None and not trainer.sanity_checking:
            self._left.evaluated(time.monotonic() - self._since)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bars, so that the error message is printed below them."""
        for kind in ("val", "test", "predict", "train"):  # the outermost bar is closed last
            with suppress(TypeError):  # raised by Lightning if there is no such bar
                getattr(self, f"{kind}_progress_bar").close()

    def _begin(self, trainer: L.Trainer) -> TimeLeft:
        if self._left is None:
            self._left = self._time_left(trainer)
        self._left.begin(trainer.current_epoch)
        self._describe(trainer)
        return self._left

    def _time_left(self, trainer: L.Trainer) -> TimeLeft:
        data = stream_data(trainer)
        n, n_domains = data.n_experiences_due, range(len(data.stream.domains))
        units = [data.n_eval_units(data.evaluate_on, domain) for domain in n_domains]
        rows = [sum(units[domain] for domain in data.row_after(number, n)) for number in range(n)]
        here = sum(units[domain] for domain in n_domains if domain not in data.stream.absent)
        is_whole = trainer.num_sanity_val_steps == float("inf") and here > 0
        unit = self._of_untrained / here if is_whole else 0.0
        return TimeLeft(int(trainer.num_training_batches), rows, unit=unit)

    def _describe(self, trainer: L.Trainer) -> None:
        experiences = stream_data(trainer).stream.experiences
        number = trainer.current_epoch
        head = f"stream {number + 1}/{len(experiences)}{self._shown}"
        name = shorten(experiences[number].name, max(columns() - ROOM - len(head), LEAST))
        self.train_progress_bar.set_description(f"{head}, {name}", refresh=False)

    @staticmethod
    def _domain(trainer: L.Trainer, dataloader_idx: int) -> str:
        if not isinstance(getattr(trainer, "datamodule", None), StreamDataModule):
            return ""
        data = stream_data(trainer)
        name, due = shorten(data.stream.domains[dataloader_idx], max(columns() - ROOM, LEAST)), data.domains_due
        return f" {due.index(dataloader_idx) + 1}/{len(due)}, {name}" if dataloader_idx in due else f" {name}"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return loss and score; further metrics do not fit on the line and are in ``metrics.csv``."""
        values = super().get_metrics(trainer, pl_module)
        return {name: values[f"train/{name}"] for name in ("loss", "score") if f"train/{name}" in values}


def is_watched() -> bool:
    """Return whether a user sees the bar: in a terminal (Lightning writes the bar to stdout) or in a notebook."""
    return _is_in_a_kernel() or (sys.stdout is not None and sys.stdout.isatty())


def _is_in_a_kernel() -> bool:
    # An imported ipykernel proves nothing: a program may use it for other purposes.
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    return getattr(shell, "kernel", None) is not None


def columns() -> int:
    """Return the number of columns of the terminal."""
    return shutil.get_terminal_size().columns


@contextmanager
def told_above_the_bar() -> Iterator[None]:
    """Print log messages above the bar, instead of in the middle of its line, while the block runs."""
    if not is_watched():
        yield
        return
    with logging_redirect_tqdm([logger for name in LOGGERS if (logger := logging.getLogger(name)).handlers]):
        yield
