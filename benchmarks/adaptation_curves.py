"""Plot the runs of a sweep: the score on test tasks after 0, 1, … inner steps.

``python benchmarks/adaptation_curves.py benchmarks/omniglot_5w1s.yaml --picture docs/pictures/adaptation_curves.png``

Every finished run whose learner adapts in steps is evaluated with ``lifelong.evaluation.AdaptationCurve``, unless its
``adaptation_curve_test.json`` exists. Runs of learners without inner steps are left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.progress import track

from lifelong.evaluation import plots
from lifelong.sweep.table import PlannedRun, plan

CURVE = "adaptation_curve_test.json"


def adapts_in_steps(run: PlannedRun) -> bool:
    """Return whether the learner of a finished run has a ``trajectory``."""
    config = yaml.safe_load((run.training.folder / "config.yaml").read_text(encoding="utf-8"))
    module, name = config["model"]["class_path"].rsplit(".", 1)
    return hasattr(getattr(importlib.import_module(module), name), "trajectory")


def measure(run: PlannedRun, n_steps: int) -> dict[str, Any]:
    """Load the curve of a finished run, or measure it if its file is missing or has another number of steps.

    Raises:
        RuntimeError: when the measurement fails; the message contains the last line of its output.
    """
    path = run.training.folder / CURVE
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if found.get("steps") != list(range(n_steps + 1)):
        command = [
            sys.executable,
            "-m",
            "lifelong",
            "test",
            "--ckpt_path",
            str(run.training.folder / "checkpoints/last.ckpt"),
        ]
        flags = ["--trainer.callbacks+=lifelong.evaluation.AdaptationCurve", f"--trainer.callbacks.n_steps={n_steps}"]
        done = subprocess.run([*command, *flags, "--trainer.logger=false"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{run.label}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
        found = json.loads(path.read_text(encoding="utf-8"))
    return found


def name(run: PlannedRun, runs: Sequence[PlannedRun]) -> str:
    """Name a line: its row, its column, and its seed if there are several."""
    seed = f"seed {run.seed}" if len({run.seed for run in runs}) > 1 else ""
    return ", ".join(filter(None, (run.label, run.column, seed)))


def draw(labels: Sequence[str], curves: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw one line for each run: its mean over all domains with a 95 % interval."""
    mean = np.array([np.mean(curve["mean"], axis=0) for curve in curves])
    # The domains have different tasks, so the variances of their means add.
    widths = [np.sqrt((np.array(curve["half_width"]) ** 2).sum(0)) / len(curve["domains"]) for curve in curves]
    figure = plots.adaptation_curve_figure(
        mean,
        np.array(widths),
        labels,
        title="Test tasks after each inner step",
        score_name=curves[0]["score"],
        percent=True,
        averaged=False,
    )
    plots.save_figure(figure, path)


def main() -> int:
    """Measure the missing curves, then draw all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sweep", type=Path, help="YAML file of the sweep")
    parser.add_argument("--root", type=Path, help="where its runs lie (default: runs/<name of the file>)")
    parser.add_argument("--picture", type=Path, default=Path("adaptation_curves.png"))
    parser.add_argument("--rows", nargs="*", help="labels of the rows to draw (default: all that adapt in steps)")
    parser.add_argument("--n-steps", type=int, default=10)
    arguments = parser.parse_args()
    sweep = yaml.safe_load(arguments.sweep.read_text(encoding="utf-8"))
    runs = [run for run in plan(sweep, arguments.root or Path("runs") / arguments.sweep.stem) if run.results]
    unknown = set(arguments.rows or ()) - {run.label for run in runs}
    if runs and unknown:
        print(f"no finished run is called {', '.join(sorted(unknown))}, only {', '.join(run.label for run in runs)}")
        return 1
    runs = [run for run in runs if adapts_in_steps(run) and (not arguments.rows or run.label in arguments.rows)]
    if not runs:
        print("no finished run of the sweep has a learner that adapts in steps: run python -m lifelong sweep first")
        return 1
    curves = [measure(run, arguments.n_steps) for run in track(runs, description="curves")]
    names = [name(run, runs) for run in runs]
    draw(names, curves, arguments.picture)
    for label, curve in zip(names, curves, strict=True):
        print(label, " ".join(f"{100 * score:.1f}" for score in np.mean(curve["mean"], axis=0)), sep=": ")
    print(f"written: {arguments.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
