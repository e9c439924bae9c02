"""The examples of the pages run with the commands below them, and print what the pages show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lifelong
from tests.command_line import QUIET, run_here
from tests.docs.blocks import EXAMPLES, Example, plain, stands_in

SHORT = ["--data.steps_per_experience=2", "--data.n_eval_tasks=3", *QUIET]
"""Appended to commands that train: shorter, and nothing else."""
LONGEST = 25
pytestmark = pytest.mark.filterwarnings("ignore")


def results(name: str = "own") -> lifelong.Results:
    return lifelong.Results.load(Path("runs") / name)


def check_anchor() -> None:
    found = results().setting
    assert found.strategies == ("Anchor",)
    assert found.strategy_bytes["Anchor"] == 4 * found.parameters  # a copy of the weights
    rows = Path("runs/own/config.yaml").read_text(encoding="utf-8")
    assert "strength: 0.1" in rows


def check_attention() -> None:
    assert results().setting.learner == "Attention"


def check_blobs() -> None:
    assert results().domains == ("blobs 0", "blobs 1", "blobs 2")


def check_strided() -> None:
    config = json.loads(Path("runs/own/results.json").read_text())["config"]
    assert config["model"]["init_args"]["network"]["class_path"] == "my_network.Strided"


def check_worst() -> None:
    from my_metric import worst_domain  # type: ignore[import-not-found]

    for name in ("plain", "replay"):
        found = worst_domain(results(name))
        assert found.value == pytest.approx(100 * results(name).matrix[-1].min())


def check_confidence() -> None:
    measured = results().measures["Confidence/probability"]
    assert measured.shape == (5, 5)
    assert ((measured > 0.2) & (measured <= 1)).all()  # the most probable of five


CHECKS: dict[str, Callable[[], None]] = {
    "anchor.py": check_anchor,
    "my_learner.py": check_attention,
    "my_source.py": check_blobs,
    "my_network.py": check_strided,
    "my_metric.py": check_worst,
    "confidence.py": check_confidence,
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_example_runs_and_prints_what_is_shown(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    if "import gymnasium" in example.text:
        pytest.importorskip("gymnasium")
    Path(example.name).write_text(example.text, encoding="utf-8")
    if not example.commands:  # a script
        text = re.sub(r"(\[Glyphs\(\)\]|n_way=5, n_shot=5|n_query=16)", rf"\1, {SCRIPT}", example.text)
        for call, shorter in SHORTER.items():
            text = text.replace(call, f"{call}{shorter}")
        exec(compile(text, example.name, "exec"), {})
        return
    for _, command, *options in example.commands:
        name = [] if "--run.name" in options else ["--run.name=own"]
        run_here(command, *options, *([*name, *SHORT] if command == "fit" else []))
    assert any(f"{Path(example.name).stem}." in word for command in example.commands for word in command)
    for file in Path("runs").glob("*/results.json"):
        assert np.isfinite(lifelong.Results.load(file.parent).matrix).all()
    printed = [plain(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in example.output if not stands_in(line, printed)] == []
    if example.name in CHECKS:
        CHECKS[example.name]()


SCRIPT = "steps_per_experience=2, n_eval_tasks=3"
"""What a script's stream is shortened by."""
SHORTER = {"Dynamics(robot=robot": ", n_robots=8, n_segments=1", "ClosedLoop(": "n_robots=1, support_sizes=[]"}
"""What is recorded and driven less by."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_example_is_short(example: Example) -> None:
    if example.page.parent.name == "extend":
        assert len([line for line in example.text.splitlines() if line.strip()]) <= LONGEST


def test_a_file_name_stands_for_one_text() -> None:
    texts: dict[str, str] = {}
    for example in EXAMPLES:
        assert texts.setdefault(example.name, example.text) == example.text


def test_every_kind_of_plug_in_has_an_example_that_is_checked() -> None:
    assert set(CHECKS) <= {example.name for example in EXAMPLES if example.commands}
    pages = {example.page.stem for example in EXAMPLES if example.page.parent.name == "extend"}
    assert pages == {"learner", "strategy", "source", "metric", "network"}
