"""Command lines in separate processes that can be killed at any moment, forked from one that has all imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lifelong.cli.main import main
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from lifelong.training.stream_module import StreamModule

ROOT = Path(__file__).parents[2]
MOMENTS: dict[str, tuple[Any, str]] = {
    "rename": (os, "replace"),
    "second name": (os, "link"),
    "flush": (os, "fsync"),
    "training step": (StreamModule, "training_step"),
    "optimizer step": (torch.optim.Adam, "step"),
    "evaluation": (StreamModule, "measures"),
    "results": (Results, "save"),
    "report": (Report, "finish"),
}
"""Moments for kills, by name: before or after a call of a function."""


@dataclass(frozen=True)
class Kill:
    """Define when a process is killed: a time after its start, or a call of a moment's function.

    Args:
        seconds: seconds after the start. If None, it is killed at a call.
        moment: key of ``MOMENTS``.
        call: number of the call, from 1.
        after: kill after the call instead of before.
    """

    seconds: float | None = None
    moment: str = ""
    call: int = 1
    after: bool = False

    def __str__(self) -> str:
        return "any time" if self.seconds is not None else f"{'after' if self.after else 'before'} {self.moment}"


@dataclass(frozen=True)
class Ended:
    """Store how a process ended.

    Args:
        killed: whether it was killed by SIGKILL.
        code: exit code if it was not killed.
        seconds: duration in seconds.
        calls: number of calls of each moment's function; empty if it was killed.
    """

    killed: bool
    code: int
    seconds: float
    calls: dict[str, int]


def run(args: Sequence[str], folder: Path, kill: Kill | None = None) -> Ended:
    """Run ``python -m lifelong`` in a forked process.

    Args:
        args: arguments of the command line.
        folder: working directory; output is written to ``log`` in it.
        kill: when to kill the process. If None, it is not killed.
    """
    started = time.monotonic()
    counts = folder / "calls.json"
    counts.unlink(missing_ok=True)
    process = os.fork()
    if process == 0:
        _child(args, folder, kill, counts)
    if kill is not None and kill.seconds is not None:
        time.sleep(kill.seconds)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    calls = json.loads(counts.read_text()) if counts.is_file() else {}
    code = 0 if killed else os.waitstatus_to_exitcode(status)
    return Ended(killed, code, time.monotonic() - started, calls)


def run_processes(args: Sequence[str], folder: Path, kill: Kill | None = None) -> Ended:
    """Run ``python -m lifelong`` with several processes, which are all killed at the same time.

    Args:
        args: arguments of the command line.
        folder: working directory.
        kill: seconds after the start. If None, they are not killed.
    """
    started = time.monotonic()
    process = start(args, folder)
    try:
        process.wait(None if kill is None else kill.seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed = process.returncode == -signal.SIGKILL
    return Ended(killed, 0 if killed else process.returncode, time.monotonic() - started, {})


def start(args: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start ``python -m lifelong`` in a separate process group; output is written to ``log`` in the folder."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "lifelong", *args]
    with (folder / "log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def _child(args: Sequence[str], folder: Path, kill: Kill | None, counts: Path) -> None:
    code = 1
    try:
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        torch.set_num_threads(1)
        sys.argv = ["lifelong", *args]
        calls = dict.fromkeys(MOMENTS, 0)
        for moment, (owner, name) in MOMENTS.items():
            setattr(owner, name, _watched(getattr(owner, name), moment, calls, kill))
        main(args)
        counts.write_text(json.dumps(calls))
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watched(function: Callable[..., Any], moment: str, calls: dict[str, int], kill: Kill | None) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls[moment] += 1
        is_due = kill is not None and kill.moment == moment and calls[moment] == kill.call
        if kill is not None and is_due and not kill.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
