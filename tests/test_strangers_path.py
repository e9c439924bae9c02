"""A stranger who follows the README gets to each of its promises, with every command as it stands."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.strangers_path import STEPS, walk


@pytest.mark.slow
def test_the_commands_of_the_readme_lead_to_its_promises(tmp_path: Path) -> None:
    walked = list(walk(tmp_path, quick=True))
    assert [step for step, *_ in STEPS if step not in {part["step"] for part in walked}] == []
    clone = tmp_path / "clone"
    with (clone / "runs" / "birds" / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 9
    assert {row["answer"] for row in answers} <= {"lime", "plum", "melon"}
    assert (clone / "birds.model").is_file()
    assert (clone / "birds.onnx").is_file() == (find_spec("onnxruntime") is not None)
    assert any(" serve " in str(part["command"]) for part in walked) == (find_spec("starlette") is not None)
    compared = str(walked[-1]["printed"])
    assert all(name in compared for name in ("Decay", "Replay", "average", "difference"))
