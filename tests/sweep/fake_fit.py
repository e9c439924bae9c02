"""Stands for ``python -m lifelong`` where a test needs many runs: a fraction of a second, and scores by a formula."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

RESULTS = {
    "finished": True,
    "domains": ["x", "y"],
    "matrix": [[0.9, 0.1], [0.5, 0.7]],
    "half_width": [[0.01, 0.01], [0.01, 0.01]],
    "metrics": {"average_score": {"value": 0.6, "half_width": 0.01}, "learning_score": None},
    "measures": {},
    "strategy_bytes": {},
    "wall_seconds": 60.0,
}


def options_of(words: list[str]) -> dict[str, str]:
    """Values by option, of ``--name=value`` and ``--name value``."""
    given: dict[str, str] = {}
    while words:
        name, has_value, value = words.pop(0).partition("=")
        given[name.removeprefix("--")] = value if has_value else words.pop(0)
    return given


def check(options: Sequence[str]) -> None:
    """Refuse a rate that is none."""
    if (rate := options_of([*options]).get("optimizer.lr", "1")).isalpha():
        raise ValueError(f"--optimizer.lr is {rate}: it must be a number")


def main(arguments: list[str]) -> int:
    """Learn two experiences, ``seconds`` each; the score is best at a rate of 0.01.

    ``fails`` fails, ``diverges`` has no score, ``dies`` ends itself, and ``after`` waits for a file before it takes the
    folder, as imports take their time.
    """
    options = options_of(arguments[1:])
    folder = Path(options["run.root"], options["run.name"])
    folder.mkdir(parents=True, exist_ok=True)
    if "after" in options:
        Path(f"{options['after']}.awaited").touch()
        while not Path(options["after"]).exists():
            time.sleep(0.02)
    with FileLock(folder / ".lock", timeout=0):
        with Path(os.environ["FAKE_STARTS"]).open("a") as starts:
            starts.write(f"{folder.name}\n")
        if "dies" in options:
            os.kill(os.getpid(), signal.SIGKILL)
        if "fails" in options:
            print("error: no such thing")
            return 1
        score = 1 - abs(math.log10(float(options.get("optimizer.lr", "0.01"))) + 2) / 10
        with (folder / "metrics.csv").open("w") as rows:
            rows.write("step,val/average_score,train/loss\n")
            for step in range(2):
                rows.write(f"{step},,0.5\n{step},{score},\n")
                rows.flush()
                time.sleep(float(options.get("seconds", "0")))
        (folder / "group").write_text(os.environ.get("WANDB_RUN_GROUP", ""))
        value = None if "diverges" in options else score
        metrics = RESULTS["metrics"] | {"average_score": {"value": value, "half_width": 0.01}}
        (folder / "results.json").write_text(json.dumps(RESULTS | {"metrics": metrics}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
