"""A sweep defined by a YAML file: a table of runs, or a hyperparameter search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.sweep import search, table
from lifelong.sweep.checks import check_trainings
from lifelong.sweep.executors import (
    Description,
    Executor,
    check_executor,
    jobs_at_once,
    make_executor,
    read_description,
)
from lifelong.sweep.journal import Journal
from lifelong.sweep.running import run_missing
from lifelong.sweep.tables import markdown
from lifelong.utilities.files import write_whole
from lifelong.utilities.plain_yaml import read_yaml

TABLES = "tables.md"


def read_sweep(path: Path) -> dict[str, Any]:
    """Read the file of a sweep.

    Args:
        path: the YAML file.

    Raises:
        ValueError: when it is neither a table nor a search, or contains an unknown name.
    """
    if not path.is_file():
        raise ValueError(f"there is no sweep {path}: give the path of a YAML file with tables, or with a search")
    sweep = read_yaml(path)
    if not isinstance(sweep, dict) or ("tables" in sweep) == ("search" in sweep):
        found = "both tables and a search" if isinstance(sweep, dict) and "search" in sweep else "neither"
        raise ValueError(f"a sweep has tables or a search, and {path} has {found}: give it one of them")
    if "search" in sweep:
        search.check(sweep)
    else:
        table.check(sweep)
    return sweep


def run_sweep(
    sweep: Mapping[str, Any],
    root: Path,
    *,
    journal: Journal | None = None,
    jobs: int | None = None,
    executor: Description | None = None,
    table_only: bool = False,
    check_options: Callable[[Sequence[str]], None] | None = None,
) -> list[str]:
    """Run all missing runs, print the tables and write them into ``tables.md``; return the failures.

    Args:
        sweep: content of the file, from :func:`read_sweep`.
        root: root of the run folders.
        journal: results of finished runs, which are not repeated.
        jobs: number of parallel runs.
        executor: executor of the runs. Default: the one in the file.
        table_only: only print and write the tables.
        check_options: raises a ``ValueError`` for options that ``fit`` does not accept; called before the first run.

    Raises:
        ValueError: when a config does not exist, an option is invalid, or the executor is not available.
    """
    description = executor or sweep.get("executor", "local")
    at_once = jobs_at_once(description, jobs)

    def make() -> Executor:
        return make_executor(description, Path.cwd() / root, jobs)

    check_executor(description)
    if "search" in sweep:
        if not table_only and at_once is None:
            raise ValueError(
                f"a search on the executor {read_description(description)[0]} needs --jobs, the number of trials at a "
                "time: with few of them each is chosen by more scores, with many the search ends sooner"
            )
        return search.run_search(sweep, root, journal, at_once, None if table_only else make, check_options)
    runs = list(table.plan(sweep, root, journal))
    for run in runs:
        run.keep()  # add runs that finished without a journal

    so_far = table.ended(runs)

    def write() -> None:
        write_whole(root / TABLES, lambda part: part.write_text(markdown(sweep, so_far), encoding="utf-8"))

    failures: list[str] = []
    if not table_only:
        table.check_configs(sweep)
        if missing := [run for run in runs if run not in so_far.finished]:
            if check_options is not None:
                of_cells = {(run.table, run.label, run.column): run.training for run in missing}
                check_trainings(of_cells.values(), check_options)
            failures = run_missing(runs, so_far, make(), at_once, write)
    if journal is not None:
        journal.read()  # results of other sweeps since then
    print(markdown(sweep, table.ended(runs)) or f"no finished run under {root}")
    return failures
