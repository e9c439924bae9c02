"""Signals from outside reach a run on the command line, in one process or several."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.command_line import QUIET, TINY_DATA, TINY_MODEL, run_apart, start_apart

pytestmark = pytest.mark.slow
LONG = ["--data.steps_per_experience=150", "--checkpoint.every_n_steps=100000", "--trainer.num_sanity_val_steps=0"]


def options(name: str, n_processes: int) -> list[str]:
    several = ["--trainer.devices=2", "--trainer.strategy=ddp"] if n_processes > 1 else []
    named = [f"--run.name={name}", "--run.resume=auto"]
    return ["fit", *TINY_MODEL, *TINY_DATA, *QUIET, *LONG, *several, *named]


def outcome(folder: Path) -> tuple[dict[str, Any], Any]:
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    results = json.loads((folder / "results.json").read_text())
    assert results["finished"]
    return state, results["matrix"]


@pytest.mark.parametrize("n_processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_as_if_it_had_not(number: signal.Signals, n_processes: int, tmp_path: Path) -> None:
    run_apart(*options("whole", n_processes), cwd=tmp_path)
    process = start_apart(*options("a", n_processes), cwd=tmp_path)
    metrics = tmp_path / "runs/a/metrics.csv"
    until = time.monotonic() + 120
    while not (metrics.is_file() and len(metrics.read_text().splitlines()) > 20):
        assert process.poll() is None, process.stderr
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert f"stopped by {number.name} after step" in out
    assert "Traceback" not in err
    run_apart(*options("a", n_processes), cwd=tmp_path)
    (state, matrix), (expected, expected_matrix) = outcome(tmp_path / "runs/a"), outcome(tmp_path / "runs/whole")
    assert all(torch.equal(state[name], w) for name, w in expected.items() if isinstance(w, torch.Tensor))
    assert matrix == expected_matrix
