"""Measure the overhead of each executor of sweeps: ``python -m benchmarks.sweep_overhead --seconds 20``.

Each executor calls a function that starts a sleeping process. Its start time is the time until a first call without
sleep returns; its overhead is the time of a second call minus the sleep.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lifelong.sweep.executors import make_executor
from lifelong.sweep.training import POLL
from lifelong.utilities.markdown import markdown_table

EXECUTORS: dict[str, Any] = {
    "local": "local",
    "slurm (jobs on this machine)": {"class_path": "slurm", "init_args": {"cluster": "local"}},
    "ray (a cluster on this machine)": {"class_path": "ray", "init_args": {"num_cpus": 1}},
}


def run(seconds: float) -> None:
    """Simulate a run by a process that sleeps."""
    subprocess.run([sys.executable, "-c", f"import time; time.sleep({seconds})"], check=True)


def measure(description: Any, seconds: float) -> tuple[float, float]:
    """Return the seconds of an executor's first call, and those of a call that sleeps."""
    with tempfile.TemporaryDirectory() as folder:
        times = [time.monotonic()]
        executor = make_executor(description, Path(folder), 1)
        for length in (0.0, seconds):
            future = executor.submit(run, length)
            while not future.done():
                time.sleep(POLL)
            future.result()
            times.append(time.monotonic())
        if callable(shutdown := getattr(executor, "shutdown", None)):
            shutdown()
    return times[1] - times[0], times[2] - times[1]


def main() -> None:
    """Measure all executors sequentially."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20.0, help="that a run takes")
    seconds = parser.parse_args().seconds
    rows = []
    for name, description in EXECUTORS.items():
        start, taken = measure(description, seconds)
        over = taken - seconds
        rows.append([name, f"{start:.1f} s", f"{over:.1f} s", f"{100 * over / seconds:.0f} %"])
    print(markdown_table(["executor", "start, once", "overhead of each run", "of its time"], rows))


if __name__ == "__main__":
    main()
