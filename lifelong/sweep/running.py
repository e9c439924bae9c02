"""Running what is missing of a table, with a bar and the time left."""

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
    """Run what has no results yet, and return what failed, one sentence each.

    Args:
        runs: of the whole table.
        ended: what has come of them so far; what comes of the others is added to it.
        executor: runs them.
        jobs: how many run at a time, for the time left; None where the executor decides it.
        on_change: is called after each run that has ended.
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
    """Say in one line what became of a run that has not finished.

    Args:
        training: that was run.
        outcome: how it ended.
    """
    log = "" if outcome.log is None else f" ({outcome.log})"
    return f"{training.name}: {outcome.reason or 'stopped'}{log}"


def make_bar() -> Progress:
    """Make a bar with a description, a count, the time gone by and the field ``left``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[left]}"))


def time_left(finished: Mapping[PlannedRun, dict[str, Any]], waiting: Sequence[PlannedRun], jobs: int | None) -> str:
    """Estimate how long the waiting runs will take: each as long as finished ones of its cell, or of all cells.

    Args:
        finished: results of those that have finished.
        waiting: those that have not.
        jobs: how many run at a time; None where the executor decides it: it takes as long as the longest at least.
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
