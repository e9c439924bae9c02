"""One run of a sweep: what it is, and how it is run in a process of its own, on this machine or on another."""

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
"""``last.ckpt`` is then written after every experience: where an interrupted run goes on."""
PROGRAM = (sys.executable, "-m", "lifelong")
POLL = 0.2
"""Seconds between two looks at a process."""
GRACE = 60.0
"""Seconds that a run has to save what it has learnt when it is stopped."""


class Outcome(NamedTuple):
    """Say how a run ended: ``held`` by another process, ``stopped`` when asked to, else with or without results.

    Where it failed there is the reason, in one line, and the log where it stands in one.
    """

    state: Literal["finished", "failed", "held", "stopped"]
    reason: str = ""
    log: Path | None = None


@dataclass(frozen=True)
class Training:
    """Hold one ``python -m lifelong fit``.

    Args:
        name: for people.
        options: of ``fit``, without those that say where the run lies.
        folder: of the run; an absolute path that all machines of the sweep share.
        identity: what decides the run.
        cwd: where it is started, which relative paths in its options start from.
    """

    name: str
    options: tuple[str, ...]
    folder: Path
    identity: str
    cwd: Path

    @property
    def command(self) -> list[str]:
        """Return the options of ``fit``: the sweep's first, so that the run's own win."""
        where = ["--run.root", str(self.folder.parent), "--run.name", self.folder.name, "--run.resume", "auto"]
        return ["fit", *self.options[:2], *QUIET, *self.options[2:], *where]

    @property
    def results(self) -> dict[str, Any] | None:
        """Return the results in its folder, None when unfinished or made by another run of the same name."""
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
        """Return whether another process works on it, of a sweep or a training of its own."""
        return is_held(self.beside("lock")) or is_held(self.folder / RUN_LOCK)

    @property
    def failure(self) -> str | None:
        """Return why it failed when it was last run, in one line; None where it did not."""
        note = self.beside("failed")
        kept = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        return kept["reason"] if kept.get("run") == self.identity else None

    def keep_failure(self, outcome: Outcome) -> None:
        """Write down why it failed, for the table; remove that where it ended in another way.

        Args:
            outcome: how it ended.
        """
        if outcome.state == "failed":
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.beside("failed"), {"run": self.identity, "reason": outcome.reason})
        else:
            self.beside("failed").unlink(missing_ok=True)

    def beside(self, kind: str) -> Path:
        """Return a file beside the folder: its ``log``, its ``lock``, ``failed``, or its ``run``, the identity."""
        return Path(f"{self.folder}.{kind}")


def train(training: Training, stop: Path) -> Outcome:
    """Run it in a process of its own with one thread, unless it is finished or another process works on it.

    An interrupted run goes on from its last experience.

    Args:
        training: what is run.
        stop: a file that ends it once it is there.
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
    # With a logger of Weights & Biases the runs of a table or search are one group.
    environment = {"WANDB_RUN_GROUP": training.folder.parent.name} | os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*PROGRAM, *training.command]
    with log.open("a", encoding="utf-8") as file:
        # In a session of its own, so that Ctrl-C in a terminal reaches it once, by the sweep.
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
    # What a killed sweep has left behind takes the folder only after its imports, and may be the first to take it.
    if code != 0 and is_held(training.folder / RUN_LOCK):
        return Outcome("held")
    if code == 0 or training.results is not None:
        return Outcome("finished")
    if code < 0:
        return Outcome("failed", f"ended by {signal.Signals(-code).name}", log)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    return Outcome("failed", " ".join(lines[-1].removeprefix("error: ").split()), log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to save and end; where it does not, end it and all that it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
