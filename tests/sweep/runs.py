"""Plans of runs, and their results, as the tests of sweeps share them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifelong.sweep.table import PlannedRun
from lifelong.sweep.training import Training
from tests.sweep.fake_fit import RESULTS

SWEEP: dict[str, Any] = {
    "seeds": [0, 1],
    "flags": "--data.evaluate_on test",
    "tables": [
        {"name": "two", "config": "a.yaml", "rows": {"none": "", "rate 0.5": "--optimizer.lr 0.5"}},
    ],
}
CROSSED: dict[str, Any] = {
    "seeds": [3, 4],
    "flags": "--order {seed}",
    "spread": "sem",
    "tables": [
        {
            "name": "crossed",
            "config": "a.yaml",
            "columns": {"task": "--scenario task", "class": "--scenario class --classes all"},
            "rows": {"none": "", "DER": {"task": "--alpha 1", "class": "--alpha 2"}, "DER++": {"class": "--beta 1"}},
            "published": {"none": {"task": "84.32 ± .99", "class": 19.9}, "DER++": {"class": 92.5}},
        }
    ],
}


def training(folder: Path, *options: str) -> Training:
    """A run in a folder."""
    own = ("--config", "a.yaml", *options)
    return Training(folder.name, own, folder, folder.name, Path.cwd())


def planned(folder: Path, *options: str) -> PlannedRun:
    """The same as a row of the table ``two``."""
    return PlannedRun("two", "none", "", 0, training(folder, *options))


def finish(run: PlannedRun, average: float | None, **changes: Any) -> None:
    """Write the results that a run would have written."""
    folder = run.training.folder
    folder.mkdir(parents=True)
    metrics = RESULTS["metrics"] | {"average_score": {"value": average, "half_width": 0.01}}
    (folder / "results.json").write_text(json.dumps(RESULTS | {"metrics": metrics} | changes))
