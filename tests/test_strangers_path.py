"""A stranger who follows the README gets to each of its promises, with every command as it stands."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.strangers_path import STEPS, walk


@pytest.mark.slow
def test_the_commands_of_the_readme_lead_to_its_promises(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the README's own photos need the extra export")
    pytest.importorskip("starlette", reason="the README's own photos need the extra serve")
    walked = list(walk(tmp_path, quick=True))
    assert [step for step, *_ in STEPS if step not in {part["step"] for part in walked}] == []
    clone = tmp_path / "clone"
    with (clone / "runs" / "birds" / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 9
    assert {row["answer"] for row in answers} <= {"lime", "plum", "melon"}
    assert (clone / "birds.onnx").is_file()
    compared = str(walked[-1]["printed"])
    assert all(name in compared for name in ("Decay", "Replay", "average accuracy"))
