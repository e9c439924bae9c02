"""A sweep as a YAML file describes it: a table of runs, or a search for settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelong.sweep import search, table
from lifelong.sweep.executors import Executor, check_executor, make_executor
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
        ValueError: when it is no table and no search, or a name in it stands for nothing.
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
    executor: Any = None,
    table_only: bool = False,
) -> list[str]:
    """Run what is missing, print the tables and write them into ``tables.md``; return what failed.

    Args:
        sweep: what :func:`read_sweep` returns.
        root: where the runs lie.
        journal: keeps results of finished runs, which are not run again.
        jobs: how many runs at a time.
        executor: where they are run; the file's own where None.
        table_only: run nothing.

    Raises:
        ValueError: when a config is not there, or the executor cannot be had.
    """
    description = executor or sweep.get("executor", "local")

    def make() -> Executor:
        return make_executor(description, Path.cwd() / root, jobs)

    check_executor(description)
    if "search" in sweep:
        return search.run_search(sweep, root, journal, jobs, None if table_only else make)
    runs = list(table.plan(sweep, root, journal))
    for run in runs:
        run.keep()  # those that finished without a journal

    def write() -> None:
        write_whole(root / TABLES, lambda part: part.write_text(markdown(sweep, runs), encoding="utf-8"))

    failures: list[str] = []
    if not table_only:
        table.check_configs(sweep)
        if any(run.results is None for run in runs):
            failures = run_missing(runs, make(), jobs, write)
    if journal is not None:
        journal.read()  # what others have found meanwhile
    print(markdown(sweep, runs) or f"no finished run under {root}")
    return failures
