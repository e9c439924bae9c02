"""The command on a method's page runs as it stands, but on data made small."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from docs.generate.catalogue import Method, methods
from docs.generate.commands import COMMANDS
from lifelong.cli.parser import parse
from lifelong.utilities import plugins
from tests.command_line import QUIET, run_here

SMALL = ["--data.steps_per_experience=2", "--run.name=tiny", *QUIET]
FEW_TASKS = ["--data.n_eval_tasks=2", "--data.tasks_per_batch=2", "--data.sources.n_classes=40"]
FEW_TASKS += [
    "--data.sources.n_examples=10",
    "--data.sources.styles=[strokes, textures]",
    "--model.network.n_filters=4",
]
FEW_EXAMPLES = ["--data.n_eval_examples=8", "--data.batch_size=4", "--data.split=[0.3, 0.3]", "--data.evaluate_on=val"]
SMALLER = {"RanPAC": ["--model.n_projections=50"], "GDumb": ["--strategies.n_steps=4"]}
NEEDED = {"MetaOptNet": "cvxpylayers", "Learn2Learn": "learn2learn", "GEM": "scipy"}
ELSEWHERE = {"PromptPool"}
"""Needs a pre-trained model; its config runs in tests/test_configs.py."""


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    plugins.load()


def make_digits(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for half in ("train", "t10k"):
        header = np.array([0x803, 120, 28, 28], dtype=">i4").tobytes()
        images = rng.integers(0, 256, (120, 28, 28), dtype=np.uint8).tobytes()
        (folder / f"{half}-images-idx3-ubyte").write_bytes(header + images)
        labels = (np.arange(120) % 10).astype(np.uint8).tobytes()
        (folder / f"{half}-labels-idx1-ubyte").write_bytes(np.array([0x801, 120], dtype=">i4").tobytes() + labels)


def test_every_method_has_a_command() -> None:
    assert set(COMMANDS) == {method.name for method in methods()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_command_is_understood(method: Method) -> None:
    command, *options = shlex.split(COMMANDS[method.name])
    assert method.name in options or method.name in ELSEWHERE
    parse(command, options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [m for m in methods() if m.name not in ELSEWHERE], ids=lambda method: method.name)
def test_command_runs(method: Method) -> None:
    if (needed := NEEDED.get(method.name)) and find_spec(needed) is None:
        pytest.skip(f"needs {needed}")
    make_digits(Path("data/mnist"))
    command = shlex.split(COMMANDS[method.name])
    few = FEW_EXAMPLES if "split_mnist" in command else FEW_TASKS
    small_network = ["--model.network.hidden=[8]"] if few is FEW_EXAMPLES and "torch.nn.Flatten" not in command else []
    run_here(*command, *SMALL, *few, *small_network, *SMALLER.get(method.name, []))
    results = json.loads(Path("runs/tiny/results.json").read_text())
    assert results["finished"]
    assert method.name in (results["learner"], *results["strategies"])
