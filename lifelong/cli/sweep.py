"""``python -m lifelong sweep FILE``: tables of runs and hyper-parameter searches, on one machine or on a cluster."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from lifelong.cli.command import Command
from lifelong.cli.fit_options import check_fit_options
from lifelong.sweep.journal import Journal
from lifelong.sweep.sweep import read_sweep, run_sweep
from lifelong.utilities.ranges import check_number


@dataclass(frozen=True)
class Sweep:
    """Run the missing runs of a table or of a hyper-parameter search, and print the table.

    Args:
        file: YAML file with tables or with a search.
        root: folder of the runs. Default: runs/ with the name of the file.
        journal: a file of finished runs, which are not repeated. Several machines may share it.
        jobs: number of runs at the same time. Default: 2 on this machine; on a cluster, as many as it accepts.
        executor: local, slurm, ray or a class. Default: that of the file, else local.
        table_only: run nothing, and print the table so far.
    """

    file: str
    root: str | None = None
    journal: str | None = None
    jobs: int | None = None
    executor: str | None = None
    table_only: bool = False


COMMAND = Command("sweep", Sweep, "FILE", needed="a file with tables or a search", example="table.yaml")


def sweep(args: Sequence[str]) -> None:
    """Run a sweep; the exit code is 1 if a run failed.

    Args:
        args: the file and options.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when the file contains something that cannot be resolved.
    """
    options = COMMAND.parse(args)
    check_number("--jobs", options.jobs, least=1, whole=True)
    file = Path(options.file)
    content = read_sweep(file)
    journal = None if options.journal is None else Journal(Path(options.journal))
    try:
        with _stopped_by_signals():
            failures = run_sweep(
                content,
                Path(options.root or Path("runs") / file.stem),
                journal=journal,
                jobs=options.jobs,
                executor=_read(options.executor),
                table_only=options.table_only,
                check_options=check_fit_options,
            )
    except KeyboardInterrupt:
        print("stopped: the same command goes on with what is missing", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    if failures:
        raise SystemExit(1)


def _read(executor: str | None) -> Any:
    return None if executor is None else yaml.safe_load(executor)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop all runs, like Ctrl-C, so that no process is left behind.

    SIGINT is included because a shell starts background processes with SIGINT ignored.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
