"""Examples per CPU second on Split MNIST: Lifelong, a plain loop over tensors and, if installed, Avalanche.

``python benchmarks/split_mnist_speed.py [--avalanche-python /path/to/venv/bin/python]``

All contenders train an MLP with 2 × 400 hidden units with Adam on batches of 128, with one thread. The measurement is
the CPU time of the training steps of all experiences but the first, which is a warm-up. It includes data, forward and
backward pass and optimizer step, and for Lifelong and Avalanche everything they do between two steps by default
(logging of loss and score, progress bar on a terminal, ``metrics.csv``, ``last.ckpt``). Start-up, loading, evaluation
and the ends of experiences (Fisher information, memory) are excluded. Only examples of the stream are counted; replay
adds as many rehearsed ones. The plain loop is measured with Adam's default step and with the fused step that Lifelong
uses.

Lifelong is ``python -m lifelong fit --config configs/split_mnist.yaml`` with a clock as a callback. Each measurement is
a separate process. In each repetition all contenders run alternately, and ratios are computed within a repetition. The
table shows medians with the minimum and the maximum.

Avalanche 0.6 needs a separate virtual environment: ``pip install avalanche-lib==0.6.0 torch==2.13.0``. It is measured
with its ``SplitMNIST`` as in its documentation, and with float tensors in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from datamodules import MNIST

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contender:
    """One row: its name and the command that measures it, with ``{result}`` for the file that it writes."""

    name: str
    command: list[str]


@dataclass(frozen=True)
class Ratio:
    """Two contenders and the least ratio of their speeds that is required; None if there is no requirement."""

    name: str
    than: str
    target: float | None


LIFELONG = {
    "Lifelong fine-tuning": "[]",
    "Lifelong EWC": "[{class_path: EWC}]",
    "Lifelong Replay": "[{class_path: Replay, init_args: {budget: {examples: 1000}}}]",
}
PLAIN, FUSED = "plain loop", "plain loop, fused Adam"
RATIOS = [
    Ratio("Lifelong fine-tuning", PLAIN, 0.85),
    Ratio("Lifelong fine-tuning", FUSED, None),
    Ratio("Lifelong EWC", "Lifelong fine-tuning", 0.8),
    Ratio("Lifelong Replay", "Lifelong fine-tuning", 0.5),
    Ratio("Lifelong fine-tuning", "Avalanche Naive", 1.5),
    Ratio("Lifelong EWC", "Avalanche EWC", 2.0),
    Ratio("Lifelong Replay", "Avalanche Replay", 1.7),
    Ratio("Lifelong fine-tuning", "Avalanche Naive, tensors", None),
    Ratio("Lifelong EWC", "Avalanche EWC, tensors", None),
    Ratio("Lifelong Replay", "Avalanche Replay, tensors", None),
]


def contenders(root: Path, steps: int, avalanche: str | None) -> Iterator[Contender]:
    """Return all rows; ``root`` contains the idx files and the run folders."""
    script, where = str(HERE / "speed_contenders.py"), [str(root), str(steps), "{result}"]
    for name, loop in ((PLAIN, "plain"), (FUSED, "plain-fused")):
        yield Contender(name, [sys.executable, script, loop, *where])
    for name, strategies in LIFELONG.items():
        clock = "{class_path: speed_clock.Clock, init_args: {path: {result}}}"
        flags = {
            "--config": str(HERE.parent / "configs" / "split_mnist.yaml"),
            "--strategies": strategies,
            "--data.sources.source.root": str(root / "MNIST" / "raw"),
            "--data.steps_per_experience": str(steps),
            "--data.n_eval_examples": "128",
            "--trainer.accelerator": "cpu",
            "--trainer.logger": "false",
            "--trainer.callbacks+": clock,
            "--run.root": str(root / "runs"),
        }
        words = [f"{flag}={value}" for flag, value in flags.items()]
        yield Contender(name, [sys.executable, "-m", "lifelong", "fit", *words])
    for strategy in ("Naive", "EWC", "Replay") if avalanche else ():
        for source, suffix in (("dataset", ""), ("tensors", ", tensors")):
            command = [str(avalanche), "-W", "ignore", script, f"avalanche-{strategy}-{source}", *where]
            yield Contender(f"Avalanche {strategy}{suffix}", command)


def write_idx(root: Path, source: MNIST) -> None:
    """Write the images as the idx files that all contenders read."""
    (domain,) = source.domains()
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    assert domain.in_test is not None
    for half, chosen in (("train", ~domain.in_test), ("t10k", domain.in_test)):
        x, y = domain.x.numpy()[chosen, 0], domain.y[chosen].astype(np.uint8)
        for kind, magic, array in (("images-idx3", 0x803, x), ("labels-idx1", 0x801, y)):
            header = np.array([magic, *array.shape], dtype=">i4").tobytes()
            (raw / f"{half}-{kind}-ubyte").write_bytes(header + array.tobytes())


def measure(contender: Contender, root: Path) -> float:
    """Measure examples per CPU second in a separate process with a pseudo-terminal.

    Raises:
        ValueError: when the process fails; the message contains the end of its output.
    """
    result = root / "result.json"
    result.unlink(missing_ok=True)
    command = [word.replace("{result}", str(result)) for word in contender.command]
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "COLUMNS": "120"}
    code, output = run_on_terminal(command, environment)
    if code or not result.is_file():
        raise ValueError(f"{contender.name} failed with exit code {code}: {output[-2000:]}\n{' '.join(command)}")
    found = json.loads(result.read_text(encoding="utf-8"))
    return float(found["examples"] / found["seconds"])


def run_on_terminal(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Return exit code and output of a process with a pseudo-terminal, because bars are only drawn on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(ours, output))
    reader.start()
    code = process.wait()
    reader.join()
    os.close(ours)
    return code, b"".join(output).decode(errors="replace")


def _drain(terminal: int, output: list[bytes]) -> None:
    while True:
        try:
            if not (read := os.read(terminal, 1 << 16)):
                return
        except OSError:  # on Linux, the error when the other end is closed
            return
        output.append(read)


def speed_table(speeds: dict[str, list[float]], batch: int = 128) -> Table:
    """Format each contender's speed."""
    table = Table(title=f"one thread, {len(next(iter(speeds.values())))} repetitions: median (smallest – largest)")
    for column in ("contender", "examples per CPU second", "ms a step"):
        table.add_column(column, justify="left" if column == "contender" else "right")
    for name, values in speeds.items():
        step = 1000 * batch / statistics.median(values)
        table.add_row(name, spread(values, "{:,.0f}"), f"{step:.2f}")
    return table


def ratio_table(speeds: dict[str, list[float]]) -> Table:
    """Format the speed ratios, with the required ones."""
    table = Table(title="times as fast, within each repetition")
    for column in ("contender", "than", "ratio", "at least", ""):
        table.add_column(column, justify="left" if column in ("contender", "than", "") else "right")
    for ratio in RATIOS:
        if ratio.name in speeds and ratio.than in speeds:
            values = [a / b for a, b in zip(speeds[ratio.name], speeds[ratio.than], strict=True)]
            met = "" if ratio.target is None else "met" if statistics.median(values) >= ratio.target else "missed"
            target = "" if ratio.target is None else f"{ratio.target}"
            table.add_row(ratio.name, ratio.than, spread(values, "{:.2f}"), target, met)
    return table


def spread(values: list[float], style: str) -> str:
    """Return median, minimum and maximum.

    Example:
        >>> spread([1.0, 3.0, 2.0], "{:.1f}")
        '2.0 (1.0 – 3.0)'
    """
    middle, low, high = (style.format(v) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} – {high})"


def main(args: list[str] | None = None) -> int:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=250, help="optimizer steps of each experience")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--avalanche-python", help="a Python that can import Avalanche; without it, its rows are left out"
    )
    parser.add_argument("--only", nargs="*", help="beginnings of names: measure no other contenders")
    arguments = parser.parse_args(args)
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        root = Path(folder)
        write_idx(root, MNIST(official_test=True))
        rows = list(contenders(root, arguments.steps, arguments.avalanche_python))
        if arguments.only:
            rows = [row for row in rows if row.name.startswith(tuple(arguments.only))]
        speeds: dict[str, list[float]] = {row.name: [] for row in rows}
        bar = progress.add_task("", total=len(rows) * arguments.repetitions)
        for _ in range(arguments.repetitions):
            for row in rows:
                progress.update(bar, description=row.name)
                speeds[row.name].append(measure(row, root))
                progress.advance(bar)
    console.print(speed_table(speeds), ratio_table(speeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
