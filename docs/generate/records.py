"""Recorded results of each method: rows of the tables in ``benchmarks/`` that have a journal."""

from __future__ import annotations

import itertools
import shlex
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.recorded_sweeps import recorded_sweeps
from lifelong.evaluation.estimate import Estimate
from lifelong.run.configs import find_config
from lifelong.sweep.result_tables import ResultRow, ResultTable, read_tables
from lifelong.sweep.table import cells, split_flags
from lifelong.utilities.class_names import class_name
from lifelong.utilities.plain_yaml import read_yaml


@dataclass(frozen=True)
class Record:
    """Store one row of a table, or one cell in a table with columns.

    Args:
        sweep: path of the YAML file.
        table: table of the row.
        row: the row with its results.
        learner: class name of the learner.
        options: options of ``fit`` for the run with the first seed.
    """

    sweep: Path
    table: ResultTable
    row: ResultRow
    learner: str
    options: tuple[str, ...]

    @property
    def strategies(self) -> list[str]:
        """Return the names of the strategies of its runs."""
        return list(self.row.results[0]["strategies"])

    @property
    def stream(self) -> str:
        """Return the name of the stream, with that of the column."""
        return ", ".join(filter(None, (self.table.name.replace("_", " "), self.row.column)))

    @property
    def score(self) -> Estimate:
        """Return the score of the table, in percent."""
        return self.row.metrics[self.table.score].scaled(100)

    @property
    def score_name(self) -> str:
        """Return the name of the score; for robots, the closed-loop score."""
        results = self.row.results[0]
        name = str(results.get("closed_loop", results)["score"])
        return f"{name} on unseen domains" if self.table.score == "unseen_score" else name

    @property
    def minutes(self) -> float:
        """Return the mean duration of a run in minutes."""
        return statistics.mean(float(results["wall_seconds"]) for results in self.row.results) / 60

    def n_bytes(self, name: str) -> int:
        """Return the maximum memory of a strategy, or of the learner, in bytes.

        Args:
            name: class name of the strategy or learner.
        """
        if name == self.learner:
            return max(int(results.get("learner_bytes", 0)) for results in self.row.results)
        return max(int(results["strategy_bytes"][name]) for results in self.row.results)


def read_records(root: Path) -> list[Record]:
    """Read every table in ``benchmarks/`` whose journal is in ``benchmarks/results/``.

    Args:
        root: root of the repository.
    """
    sweeps = sorted(recorded_sweeps(root).values())
    return [record for sweep, journal in sweeps for record in _records(root, sweep, journal)]


def of_method(records: Sequence[Record], name: str, *, is_learner: bool) -> list[Record]:
    """Select the rows of a method; for a learner, those without strategies.

    Args:
        records: all records.
        name: class name of the method.
        is_learner: whether the method is a learner.
    """
    if is_learner:
        return [record for record in records if record.learner == name and not record.strategies]
    return [record for record in records if name in record.strategies]


def learner_of(options: Sequence[str]) -> str:
    """Return the name of the learner that the options of a run select.

    Args:
        options: options of ``fit``; if none names a learner, the last config that does is used.

    Raises:
        ValueError: when none names a learner.

    Example:
        >>> learner_of(["--config", "configs/default.yaml"]), learner_of(["--model", "lifelong.learners.MAML"])
        ('ProtoNet', 'MAML')
    """
    pairs = list(itertools.pairwise(options))
    named: list[Any] = [value for option, value in pairs if option == "--model"]
    if not named:
        contents = [read_yaml(find_config(value)) for option, value in pairs if option == "--config"]
        named = [content["model"] for content in contents if "model" in content]
    if not named:
        raise ValueError(f"no learner is named by {shlex.join(options)}: give --model, or a config that has one")
    return class_name(named[-1])


def _records(root: Path, sweep: Path, journal: Path) -> Iterator[Record]:
    content = read_yaml(sweep)
    options = {
        (table["name"], label, column): (
            *("--config", table["config"]),
            *split_flags(content.get("flags", ""), flags, "--seed {seed}", seed=content["seeds"][0]),
        )
        for table in content["tables"]
        for label, column, flags in cells(table)
    }
    for table in read_tables(sweep, journal):
        for row in table.rows:
            if row.results:
                of_row = options[table.name, row.label, row.column]
                yield Record(sweep.relative_to(root), table, row, learner_of(of_row), of_row)
