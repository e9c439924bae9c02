"""One run of a sweep: its definition, and how it is run in a separate process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lifelong.utilities.files import write_json
from lifelong.utilities.locks import RUN_LOCK, held, is_held

QUIET = [
    *("--trainer.logger", "false", "--run.report", "false"),
    *("--checkpoint.every_n_steps", "0", "--checkpoint.keep_experiences", "0"),
]
"""With these options ``last.ckpt`` is written after every experience, from which an interrupted run resumes."""
PROGRAM = (sys.executable, "-m", "lifelong")
POLL = 0.2
"""Seconds between two polls of a process."""
GRACE = 60.0
"""Seconds in which a stopped run may save its state."""


class Outcome(NamedTuple):
    """Describe how a run ended: ``held`` by another process, ``stopped`` on request, or with or without results.

    For a failed run it contains the reason, in one line, and the path of the log if the reason is in one.
    """

    state: Literal["finished", "failed", "held", "stopped"]
    reason: str = ""
    log: Path | None = None


@dataclass(frozen=True)
class Training:
    """Define one call of ``python -m lifelong fit``.

    Args:
        name: name of the run for messages.
        options: options of ``fit``, without those that set the run folder.
        folder: folder of the run; an absolute path that all machines of the sweep share.
        identity: identity of the run, see :func:`lifelong.sweep.journal.identity`.
        cwd: working directory, for relative paths in its options.
    """

    name: str
    options: tuple[str, ...]
    folder: Path
    identity: str
    cwd: Path

    @property
    def command(self) -> list[str]:
        """Return the options of ``fit``: the sweep's first, so the run's own options override them."""
        where = ["--run.root", str(self.folder.parent), "--run.name", self.folder.name, "--run.resume", "auto"]
        return ["fit", *self.options[:2], *QUIET, *self.options[2:], *where]

    @property
    def results(self) -> dict[str, Any] | None:
        """Return the results in its folder; None if unfinished, or if another run of the same name made them."""
        path = self.folder / "results.json"
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not results.get("finished") or self.is_of_another:
            return None
        if (drives := self.folder / "closed_loop.json").is_file():
            results["closed_loop"] = json.loads(drives.read_text(encoding="utf-8"))
        return results

    @property
    def is_of_another(self) -> bool:
        """Return whether the folder was made by other options or another config."""
        note = self.beside("run")
        return self.folder.is_dir() and note.is_file() and note.read_text("utf-8") != self.identity

    @property
    def is_held(self) -> bool:
        """Return whether another process of a sweep or a training uses the folder."""
        return is_held(self.beside("lock")) or is_held(self.folder / RUN_LOCK)

    @property
    def failure(self) -> str | None:
        """Return why the last attempt failed, in one line; None if it did not."""
        note = self.beside("failed")
        kept = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        return kept["reason"] if kept.get("run") == self.identity else None

    def keep_failure(self, outcome: Outcome) -> None:
        """Store the reason of a failure for the table, or remove it if the run did not fail.

        Args:
            outcome: outcome of the run.
        """
        if outcome.state == "failed":
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.beside("failed"), {"run": self.identity, "reason": outcome.reason})
        else:
            self.beside("failed").unlink(missing_ok=True)

    def beside(self, kind: str) -> Path:
        """Return a file next to the folder: its ``log``, ``lock``, ``failed``, or ``run``, which holds the identity."""
        return Path(f"{self.folder}.{kind}")


def train(training: Training, stop: Path) -> Outcome:
    """Run it in a separate process with one thread, unless it is finished or another process works on it.

    An interrupted run resumes from its last experience.

    Args:
        training: the training.
        stop: path of a file; the run stops when the file exists.
    """
    training.folder.parent.mkdir(parents=True, exist_ok=True)
    with held(training.beside("lock")) as is_ours:
        if not is_ours or is_held(training.folder / RUN_LOCK):
            return Outcome("held")
        if training.results is not None:
            return Outcome("finished")
        if training.is_of_another:
            way_out = "remove it, or give another --root"
            return Outcome("failed", f"{training.folder} was made with other flags or another config: {way_out}")
        if stop.exists():
            return Outcome("stopped")
        training.beside("run").write_text(training.identity, encoding="utf-8")
        return _run(training, stop)


def _run(training: Training, stop: Path) -> Outcome:
    log = training.beside("log")
    # With the Weights & Biases logger, the runs of a table or search form one group.
    environment = {"WANDB_RUN_GROUP": training.folder.parent.name} | os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*PROGRAM, *training.command]
    with log.open("a", encoding="utf-8") as file:
        # In a separate session, so that Ctrl-C reaches it once, through the sweep.
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=training.cwd, start_new_session=True
        )
        try:
            while (code := process.poll()) is None:
                if stop.exists():
                    _end(process)
                    return Outcome("stopped")
                time.sleep(POLL)
        finally:
            _end(process)
    # A process left by a killed sweep locks the folder only after its imports, and may lock it first.
    if code != 0 and is_held(training.folder / RUN_LOCK):
        return Outcome("held")
    if code == 0 or training.results is not None:
        return Outcome("finished")
    if code < 0:
        return Outcome("failed", f"ended by {signal.Signals(-code).name}", log)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    return Outcome("failed", " ".join(lines[-1].removeprefix("error: ").split()), log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to save and end; if it does not, kill it and all its child processes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
