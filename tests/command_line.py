"""Running the real command line on tiny data, inside this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lifelong.cli.main import main

TINY_MODEL = [
    "--model=lifelong.learners.ProtoNet",
    "--model.network=lifelong.networks.MLP",
    "--model.network.n_inputs=64",
    "--model.network.hidden=[16]",
    "--model.network.n_outputs=8",
]
TINY_DATA = [
    "--data.sources=[{class_path: datamodules.Glyphs, init_args: {n_classes: 24, n_examples: 10, image_size: 8, "
    "styles: [strokes, textures, silhouettes]}}]",
    "--data.n_way=3",
    "--data.n_shot=2",
    "--data.n_query=3",
    "--data.steps_per_experience=6",
    "--data.n_eval_tasks=5",
    "--data.split=[0.25, 0.25]",
]
QUIET = ["--trainer.logger=false", "--trainer.accelerator=cpu"]
TINY = [*TINY_MODEL, *TINY_DATA, *QUIET]


def run_here(*args: str) -> None:
    """Run in this process; a failure raises ``SystemExit``."""
    main(args)


def run_apart(*args: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lifelong`` as a user does."""
    process = start_apart(*args, cwd=cwd)
    out, err = process.communicate(timeout=300)
    done = subprocess.CompletedProcess(args, process.returncode, out, err)
    assert not check or done.returncode == 0, err
    return done


def start_apart(
    *args: str, cwd: Path, launcher: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start ``python -m lifelong`` and return at once, with a launcher such as torchrun and environment variables."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", **(variables or {})}
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "lifelong", *args],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def error_of(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Exit code and last message of a run that must fail."""
    with pytest.raises(SystemExit) as failure:
        run_here(*args)
    return int(failure.value.code or 0), capsys.readouterr().err
