"""The running trainings of an executor: start, poll and stop them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from lifelong.sweep.executors import Executor, Future
from lifelong.sweep.training import GRACE, POLL, Outcome, Training, train

CANCEL_AFTER = 10.0
"""Seconds in which stopped runs may save before they are cancelled."""


class Pool:
    """Manage running trainings; leaving the ``with`` block stops them and cancels waiting ones.

    Args:
        executor: executor of the trainings.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._active: dict[Training, Future] = {}
        self._held: list[Training] = []
        self._name = uuid.uuid4().hex[:8]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._active) + len(self._held)

    def start(self, trainings: Sequence[Training]) -> None:
        """Start trainings; on a cluster, as one job array."""
        batch: Any = getattr(self._executor, "batch", nullcontext)
        with batch() if len(trainings) > 1 else nullcontext():
            for training in trainings:
                self._active[training] = self._executor.submit(train, training, self._stop_file(training))

    def stop(self, training: Training) -> None:
        """Stop a training after it has saved."""
        training.folder.parent.mkdir(parents=True, exist_ok=True)
        self._stop_file(training).touch()

    def ended(self) -> list[tuple[Training, Outcome]]:
        """Return the trainings that have ended since the last call; restart those whose lock is free again."""
        ended = []
        for training, future in list(self._active.items()):
            if future.done():
                del self._active[training]
                outcome = _outcome(training, future)
                if outcome.state == "held":
                    self._held.append(training)
                else:
                    ended.append((training, outcome))
        for training in list(self._held):
            if training.results is not None:
                self._held.remove(training)
                ended.append((training, Outcome("finished")))
            elif not training.is_held:
                self._held.remove(training)
                self.start([training])
        for training, outcome in ended:
            training.keep_failure(outcome)
            self._stop_file(training).unlink(missing_ok=True)
        return ended

    def wait(self) -> list[tuple[Training, Outcome]]:
        """Wait for trainings to end and return them; an empty list if none is running."""
        while not (ended := self.ended()) and len(self):
            time.sleep(POLL)
        return ended

    def close(self) -> None:
        """Stop all trainings after they have saved."""
        for training in self._active:
            self.stop(training)
        if not self._wait_for_all(CANCEL_AFTER):
            for future in self._active.values():
                if not future.done():
                    future.cancel()
            self._wait_for_all(GRACE)
        for training in (*self._active, *self._held):
            self._stop_file(training).unlink(missing_ok=True)
        self._active, self._held = {}, []
        if callable(shutdown := getattr(self._executor, "shutdown", None)):
            shutdown()

    def _stop_file(self, training: Training) -> Path:
        """Return the stop file of this pool's training; other sweeps in the same folder use other files."""
        return training.beside(f"stop-{self._name}")

    def _wait_for_all(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not (is_done := all(future.done() for future in self._active.values())) and time.monotonic() < end:
            time.sleep(POLL)
        return is_done


def _outcome(training: Training, future: Future) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except Exception as error:  # executors raise various errors, for lost nodes or cancelled jobs
        lines = str(error).strip().splitlines() or [type(error).__name__]
        log = training.beside("log")
        return Outcome("failed", lines[-1], log if log.is_file() else None)
