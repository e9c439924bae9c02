"""``python -m lifelong sweep FILE``: tables of runs and searches for settings, on one machine or on a cluster."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from lifelong.cli.fit_options import check_fit_options
from lifelong.sweep.journal import Journal
from lifelong.sweep.sweep import read_sweep, run_sweep
from lifelong.utilities.ranges import check_number

USAGE = "python -m lifelong sweep table.yaml"


def sweep(args: Sequence[str]) -> None:
    """Run a sweep; exit code 1 where a run failed.

    Args:
        args: the file and options.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when something in the file stands for nothing.
    """
    options = sweep_parser().parse_args(list(args))
    if options.FILE is None:
        raise ValueError(f"sweep needs a file with tables or a search, and none is named: {USAGE}")
    check_number("--jobs", options.jobs, least=1, whole=True)
    file = Path(options.FILE)
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


def sweep_parser() -> ArgumentParser:
    """Make the parser of the command."""
    parser = ArgumentParser(prog="python -m lifelong sweep", exit_on_error=False)
    parser.add_argument("FILE", type=str | None, nargs="?", help="YAML file with tables, or with a search")
    parser.add_argument("--root", type=str | None, default=None, help="where the runs lie; runs/<name of the file>")
    parser.add_argument("--journal", type=str | None, default=None, help="keeps what was found: not run again")
    parser.add_argument("--jobs", type=int | None, default=None, help="runs at the same time; 2 on this machine")
    parser.add_argument(
        "--executor", type=str | None, default=None, help="local, slurm, ray or a class; the file's own"
    )
    parser.add_argument("--table_only", action="store_true", help="run nothing, print what is there")
    return parser


def _read(executor: str | None) -> Any:
    return None if executor is None else yaml.safe_load(executor)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop all runs, as Ctrl-C does, so that nothing is left running.

    SIGINT as well: a shell starts what runs in the background with SIGINT ignored.
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
