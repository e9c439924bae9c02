"""The trials of one searcher: start them, let the pruner watch them, and report them to the study."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifelong.sweep.journal import Journal
from lifelong.sweep.pool import Pool
from lifelong.sweep.result_tables import mean
from lifelong.sweep.running import failure
from lifelong.sweep.study import MINUTES, REASON, Study, Trial
from lifelong.sweep.training import Outcome, Training


class Searcher:
    """Run trials in parallel.

    Args:
        study: the study that provides trials.
        pool: runs the trainings.
        journal: results of finished runs, which are not repeated.
        training: makes the training for a setting and the number of its trial.
        metric: metric by which trials are compared.
        experiences: number of experiences that a trial learns; None for all.
    """

    def __init__(
        self,
        study: Study,
        pool: Pool,
        journal: Journal | None,
        *,
        training: Callable[[Mapping[str, Any], int], Training],
        metric: str,
        experiences: int | None,
    ) -> None:
        self._study, self._pool, self._journal = study, pool, journal
        self._training, self._metric, self._experiences = training, metric, experiences
        self.active: dict[Training, Trial] = {}
        self._n_reported: dict[Training, int] = {}
        self._pruned: set[Training] = set()

    def start(self, jobs: int) -> list[str]:
        """Start trials until ``jobs`` are running; a trial whose run has already finished is reported at once.

        Args:
            jobs: number of parallel trials.

        Returns:
            The failures, one sentence each.
        """
        failures = []
        while len(self.active) < jobs and (asked := self._study.ask()):
            trial, chosen = asked
            training = self._training(chosen, trial.number)
            if (results := self._results(training)) is not None:
                failures += self._complete(trial, training, results)
                continue
            self.active[training], self._n_reported[training] = trial, 0
            self._pool.start([training])
        return failures

    def watch(self) -> None:
        """Report the row averages so far, and stop the trials that the pruner rejects."""
        for training, trial in self.active.items():
            if training in self._pruned:
                continue
            for value in row_averages(training.folder)[self._n_reported[training] :]:
                self._n_reported[training] += 1
                trial.report(value, self._n_reported[training])
                is_last = self._n_reported[training] == self._experiences
                if not is_last and training not in self._pruned and trial.should_prune():
                    self._pool.stop(training)
                    self._pruned.add(training)

    def end(self) -> list[str]:
        """Report the trials that have ended to the study; return the failures, one sentence each."""
        failures = []
        for training, outcome in self._pool.ended():
            trial = self.active.pop(training)
            if outcome.state == "finished" and (results := self._results(training)) is not None:
                failures += self._complete(trial, training, results)
                if self._journal is not None:
                    self._journal.add(training.identity, results)
            elif outcome.state == "stopped":  # by this searcher's pruner
                self._study.tell(trial, None, "PRUNED")
            else:
                failures.append(self._fail(trial, training, outcome))
        return failures

    def _complete(self, trial: Trial, training: Training, results: Mapping[str, Any]) -> list[str]:
        """Report a finished run to the study; it counts as failed if its metric is not a number."""
        metric = results["metrics"].get(self._metric)
        if metric is None:
            reason = results.get("reasons", {}).get(self._metric, "it was not measured")
            raise ValueError(f"the search's metric {self._metric} is not available ({reason}): choose another")
        trial.set_user_attr(MINUTES, results["wall_seconds"] / 60)
        if not math.isfinite(value := mean([metric["value"]])):
            diverged = f"{self._metric} is no number, the learner diverged"
            return [self._fail(trial, training, Outcome("failed", diverged, training.folder))]
        self._study.tell(trial, value, "COMPLETE")
        return []

    def _fail(self, trial: Trial, training: Training, outcome: Outcome) -> str:
        trial.set_user_attr(REASON, outcome.reason)
        self._study.tell(trial, None, "FAIL")
        return failure(training, outcome)

    def _results(self, training: Training) -> dict[str, Any] | None:
        kept = None if self._journal is None else self._journal.find(training.identity)
        return kept or training.results


def row_averages(folder: Path) -> list[float]:
    """Return the average score after each experience so far, from ``metrics.csv`` of a run.

    Args:
        folder: folder of the run.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        values = [row.get("val/average_score") for row in csv.DictReader(file)]
    return [float(value) for value in values if value]
