"""The first experiences alone are bit for bit those of the whole stream, so that what a trial finds is true of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.command_line import TINY, run_here


@pytest.mark.parametrize("strategy", ["EWC", "Replay"])
@pytest.mark.filterwarnings("ignore:.*num_workers.*")
def test_the_first_experiences_are_those_of_the_whole_stream(strategy: str, tmp_path: Path) -> None:
    keep = ["--checkpoint.keep_experiences=null", f"--strategies=[strategies.{strategy}]", f"--run.root={tmp_path}"]
    for name, cut in (("whole", []), ("first", ["--trainer.max_epochs=2"])):
        run_here("fit", *TINY, *keep, f"--run.name={name}", *cut)
    whole, first = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "first"))
    assert len(whole["matrix"]) == 3
    assert first["matrix"] == whole["matrix"][:2]
    assert first["metrics"]["average_score"] == whole["averages"][1]
    assert first["finished"]
    states = [
        torch.load(tmp_path / name / "checkpoints" / "experience-01.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "first")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0] if torch.is_tensor(states[0][key]))
