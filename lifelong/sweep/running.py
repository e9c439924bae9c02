"""Running the missing runs of a table, with a progress bar and the remaining time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lifelong.sweep.executors import Executor
from lifelong.sweep.pool import Pool
from lifelong.sweep.table import Ended, PlannedRun
from lifelong.sweep.training import Outcome, Training
from lifelong.utilities.amounts import clock


def run_missing(
    runs: Sequence[PlannedRun], ended: Ended, executor: Executor, jobs: int | None, on_change: Callable[[], None]
) -> list[str]:
    """Run all runs that have no results yet, and return the failures, one sentence each.

    Args:
        runs: all runs of the table.
        ended: outcomes so far; the outcomes of the other runs are added.
        executor: executor of the runs.
        jobs: number of parallel runs, to estimate the remaining time; None if the executor decides.
        on_change: called after each run that has ended.
    """
    waiting = {run.training: run for run in runs if run not in ended.finished}
    failures: list[str] = []
    with make_bar() as progress, Pool(executor) as pool:
        left = time_left(ended.finished, list(waiting.values()), jobs)
        bar = progress.add_task("runs", total=len(runs), completed=len(runs) - len(waiting), left=left)
        pool.start(list(waiting))
        while len(pool):
            for training, outcome in pool.wait():
                run = waiting.pop(training)
                ended.failed.pop(run, None)
                if outcome.state == "finished" and (results := run.results) is not None:
                    ended.finished[run] = results
                    run.keep()
                else:
                    ended.failed[run] = outcome.reason or "stopped"
                    failures.append(failure(training, outcome))
                progress.update(bar, advance=1, left=time_left(ended.finished, list(waiting.values()), jobs))
                on_change()
    return failures


def failure(training: Training, outcome: Outcome) -> str:
    """Describe in one line why a run has not finished.

    Args:
        training: the training.
        outcome: its outcome.
    """
    log = "" if outcome.log is None else f" ({outcome.log})"
    return f"{training.name}: {outcome.reason or 'stopped'}{log}"


def make_bar() -> Progress:
    """Make a progress bar with description, count, elapsed time and the field ``left``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[left]}"))


def time_left(finished: Mapping[PlannedRun, dict[str, Any]], waiting: Sequence[PlannedRun], jobs: int | None) -> str:
    """Estimate the remaining time; each run takes as long as finished runs of its cell, or of all cells.

    Args:
        finished: results of finished runs.
        waiting: runs that have not finished.
        jobs: number of parallel runs. If None, the executor decides, and the estimate is the longest single run.
    """
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for run, results in finished.items():
        seconds.setdefault((run.table, run.label, run.column), []).append(results["wall_seconds"])
    if not seconds:
        return "time left unknown yet"
    overall = statistics.mean(second for row in seconds.values() for second in row)
    each = [statistics.mean(seconds.get((r.table, r.label, r.column), [overall])) for r in waiting]
    if jobs is None:
        return f"at least {clock(max(each, default=0))} left"
    return f"about {clock(sum(each) / min(jobs, max(len(waiting), 1)))} left"
