"""Tables of runs defined by a YAML file: each row, and each column if there are any, with every seed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.run.configs import find_config
from lifelong.sweep.journal import Journal, identity
from lifelong.sweep.names import check_keys, check_names
from lifelong.sweep.training import Training

METRICS = {"average": "average_score", "learning": "learning_score", "forgetting": "forgetting"}
SCORES = (*METRICS.values(), "unseen_score")
"""Valid scores for the cells of a table with columns."""
SPREADS = {"interval": "95 % interval", "sem": "standard error"}
KEYS = ("seeds", "flags", "spread", "tables", "executor")
TABLE_KEYS = ("name", "config", "rows", "columns", "judged_by", "score", "published", "spread")


@dataclass(frozen=True)
class PlannedRun:
    """Assign a training to its place in a table.

    Args:
        table: name of the table.
        label: label of the row.
        column: name of the column; empty in a table without columns.
        seed: seed of the run.
        training: the training.
        journal: results of finished runs.
    """

    table: str
    label: str
    column: str
    seed: int
    training: Training
    journal: Journal | None = None

    @property
    def results(self) -> dict[str, Any] | None:
        """Return the results from the journal or the run folder, or None if the run has not finished."""
        kept = None if self.journal is None else self.journal.find(self.training.identity)
        return kept or self.training.results

    def keep(self) -> None:
        """Add the results in the run folder to the journal."""
        if self.journal is not None and (results := self.training.results):
            self.journal.add(self.training.identity, results)


@dataclass
class Ended:
    """Store the outcomes of a sweep's runs so far, so that each is read once.

    Args:
        finished: results of finished runs.
        failed: reasons of failed runs.
    """

    finished: dict[PlannedRun, dict[str, Any]]
    failed: dict[PlannedRun, str]


def ended(runs: Iterable[PlannedRun]) -> Ended:
    """Collect the outcomes of runs.

    Args:
        runs: runs of a sweep.
    """
    so_far = Ended({}, {})
    for run in runs:
        if (results := run.results) is not None:
            so_far.finished[run] = results
        elif (reason := run.training.failure) is not None:
            so_far.failed[run] = reason
    return so_far


def plan(sweep: Mapping[str, Any], root: Path, journal: Journal | None = None) -> Iterator[PlannedRun]:
    """List all runs of a sweep, seed by seed.

    Args:
        sweep: mapping with ``seeds``, ``flags`` of all runs, and ``tables``.
        root: root of the run folders.
        journal: results of finished runs.
    """
    for seed in sweep["seeds"]:
        for table in sweep["tables"]:
            for label, column, flags in cells(table):
                name = folder_name(label, column, str(seed))
                options = split_flags(sweep.get("flags", ""), flags, "--seed {seed}", seed=seed)
                where = ", ".join(filter(None, (table["name"], label, column)))
                made = make_training(f"{where}, seed {seed}", table["config"], options, root / table["name"] / name)
                yield PlannedRun(table["name"], label, column, seed, made, journal)


def make_training(name: str, config: str, options: Iterable[str], folder: Path) -> Training:
    """Describe one run.

    Args:
        name: name of the run for messages.
        config: path of a config, or its bare name.
        options: options after the config.
        folder: folder of the run.
    """
    own = ("--config", config, *options)
    cwd = Path.cwd()
    return Training(name, own, cwd / folder, identity(own, _path(config)), cwd)


def _path(config: str) -> Path:
    """Return the path of a config; an unknown name is returned unchanged and rejected before the first run."""
    try:
        return find_config(config)
    except ValueError:
        return Path(config)


def split_flags(*parts: str, seed: int) -> list[str]:
    """Split flags as a shell does, with ``{seed}`` filled in.

    Example:
        >>> split_flags("--a 'b c'", "--order {seed}", seed=3)
        ['--a', 'b c', '--order', '3']
    """
    return [word for part in parts for word in shlex.split(part.replace("{seed}", str(seed)))]


def folder_name(*parts: str) -> str:
    """Join names to a valid folder name.

    Example:
        >>> folder_name("rate 0.5", "", "3")
        'rate-0.5-3'
    """
    return re.sub(r"[^\w.+]+", "-", "-".join(filter(None, parts))).strip("-")


def cells(table: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield row, column and flags of each cell; in a table without columns, the column is the empty string."""
    columns = table.get("columns", {"": ""})
    for label, row in table["rows"].items():
        flags = row if isinstance(row, dict) else dict.fromkeys(columns, row)
        yield from ((label, column, f"{columns[column]} {flags[column]}") for column in columns if column in flags)


def check(sweep: Mapping[str, Any]) -> None:
    """Raise an error if the file of a sweep has unknown names.

    Args:
        sweep: content of the file.

    Raises:
        ValueError: when it does; the message lists the known names.
    """
    check_keys("the sweep", sweep, KEYS, needed=("seeds", "tables"))
    check_seeds(sweep["seeds"])
    if not isinstance(sweep["tables"], list) or not sweep["tables"]:
        raise ValueError("the sweep's tables are no list: give each table a name, a config and rows")
    for table in sweep["tables"]:
        check_keys("a table", table, TABLE_KEYS, needed=("name", "config", "rows"))
        if not isinstance(table["rows"], dict) or not table["rows"]:
            raise ValueError(f"the table {table['name']} has no rows: give it flags by label, such as 'none: \"\"'")
        rows, columns, published = table["rows"], table.get("columns", {}), table.get("published", {})
        named = [*rows.values(), *(published.values() if columns else ())]
        check_names("column", {column for row in named if isinstance(row, dict) for column in row}, columns)
        check_names("published row", published, rows)
        if columns and (lone := [label for label, row in published.items() if not isinstance(row, dict)]):
            raise ValueError(f"the published row {lone[0]} of {table['name']} has no columns: give it values by column")
        check_names("score", {table.get("score", METRICS["average"])}, SCORES)
        check_names("judge", {table.get("judged_by", "score")}, ("score", "closed loop"))
        check_names("spread", {table.get("spread", sweep.get("spread", "interval"))}, SPREADS)


def check_configs(sweep: Mapping[str, Any]) -> None:
    """Raise an error if a config does not exist.

    Raises:
        ValueError: when it does not; the message names it.
    """
    for table in sweep["tables"]:
        find_config(table["config"])


def check_seeds(seeds: Any) -> None:
    """Raise an error if the seeds are not a list of distinct whole numbers.

    Raises:
        ValueError: when they are not; the message shows them.
    """
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ValueError(f"the sweep's seeds are {seeds!r}: give a list of whole numbers, such as [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"the sweep's seeds are {seeds!r}: give each once, as a seed repeated is the same run")
