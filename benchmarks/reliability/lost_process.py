"""The time until a run of two processes ends after one of them was killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L

from benchmarks.reliability.chains import BUDGET, NEW, OLD, few_shot
from benchmarks.reliability.process import start

STEP, LONGEST = 6, 120.0


class Dies(L.Callback):
    """Kill one process of a run during training, and record the time.

    Args:
        rank: rank of the process.
    """

    def __init__(self, *, rank: int) -> None:
        self.rank = rank

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Kill the process after a step."""
        if trainer.global_rank == self.rank and trainer.global_step == STEP:
            Path("died").write_text(str(time.time()), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)


def measure(folder: Path, *, rank: int) -> dict[str, Any]:
    """Kill one of two processes, and return the row.

    Args:
        folder: an empty folder.
        rank: rank of the killed process; rank 0 started the other.
    """
    chain = few_shot("ProtoNet", "Replay", BUDGET)
    dies = f"--trainer.callbacks=[{{class_path: {__name__}.Dies, init_args: {{rank: {rank}}}}}]"
    two = ["--trainer.devices=2", "--trainer.strategy=ddp", dies]
    process = start([*chain.fit("a", [OLD, NEW]), *two], folder)
    ended = _wait(process.pid)
    process.wait()
    lines = [line for line in (folder / "log").read_text(encoding="utf-8").splitlines() if line.startswith("error: ")]
    died = float((folder / "died").read_text(encoding="utf-8"))
    return {"name": f"process {rank} of 2", "seconds": ended - died, "sentence": lines[-1] if lines else "none"}


def _wait(group: int) -> float:
    """Wait until no process of a group is left, and return the time."""
    deadline = time.time() + LONGEST
    while time.time() < deadline:
        if not _is_running(group):
            return time.time()
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return time.time()


def _is_running(group: int) -> bool:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended in the meantime
            continue
        if int(process_group) == group and state != "Z":
            return True
    return False
