"""Running what is missing of a table, with a bar and the time left."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lifelong.sweep.executors import DEFAULT_JOBS, Executor
from lifelong.sweep.pool import Pool
from lifelong.sweep.table import PlannedRun
from lifelong.utilities.amounts import clock


def run_missing(
    runs: Sequence[PlannedRun], executor: Executor, jobs: int | None, on_change: Callable[[], None]
) -> list[str]:
    """Run what has no results yet, and return what failed, one sentence each.

    Args:
        runs: of the whole table.
        executor: runs them.
        jobs: how many run at a time, for the time left.
        on_change: is called after each run that has ended.
    """
    waiting = {run.training: run for run in runs if run.results is None}
    failures: list[str] = []
    with make_bar() as progress, Pool(executor) as pool:
        left = time_left(runs, list(waiting.values()), jobs)
        bar = progress.add_task("runs", total=len(runs), completed=len(runs) - len(waiting), left=left)
        pool.start(list(waiting))
        while len(pool):
            for training, outcome in pool.wait():
                run = waiting.pop(training)
                if outcome.state == "finished":
                    run.keep()
                else:
                    failures.append(outcome.about or f"{training.name}: stopped ({training.beside('log')})")
                progress.update(bar, advance=1, left=time_left(runs, list(waiting.values()), jobs))
                on_change()
    return failures


def make_bar() -> Progress:
    """Make a bar with a description, a count, the time gone by and the field ``left``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[left]}"))


def time_left(runs: Sequence[PlannedRun], waiting: Sequence[PlannedRun], jobs: int | None) -> str:
    """Estimate how long the waiting runs will take: each as long as finished ones of its cell, or of all cells.

    Args:
        runs: of the whole table.
        waiting: those that have not finished.
        jobs: how many run at a time.
    """
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for run in runs:
        if results := run.results:
            seconds.setdefault((run.table, run.label, run.column), []).append(results["wall_seconds"])
    if not seconds:
        return "time left unknown yet"
    overall = statistics.mean(second for row in seconds.values() for second in row)
    each = (statistics.mean(seconds.get((r.table, r.label, r.column), [overall])) for r in waiting)
    return f"about {clock(sum(each) / min(jobs or DEFAULT_JOBS, max(len(waiting), 1)))} left"
