"""The reliability suite runs, and finds a difference where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability.chains import CHAINS, NEW, OLD, differences, few_shot
from tests.command_line import run_here
from tests.processes import ROOT


def run(*args: str, folder: Path) -> str:
    command = [sys.executable, "-m", "benchmarks.reliability", *args, f"--results={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ProtoNet × nothing", "DER, extended"])
def test_killed_chains_equal_those_that_nobody_killed(name: str, tmp_path: Path) -> None:
    printed = run("kills", f"--only={name}", "--kills=3", folder=tmp_path)
    (row,) = [json.loads(line) for line in (tmp_path / "kills.jsonl").read_text().splitlines()]
    assert len(row["kills"]) == 3
    assert row["differences"] == []
    assert "| **all 1** | **3** | **0** |" in printed
    assert run("kills", "--show", folder=tmp_path) in printed


@pytest.mark.slow
def test_a_long_stream_is_watched(tmp_path: Path) -> None:
    run("long_stream", "--experiences=20", folder=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "long_stream.jsonl").read_text().splitlines()]
    assert [row["marks"][-1]["experiences"] for row in rows] == [20, 4, 20, 4]
    assert all(row["folder_bytes"] > 0 for row in rows)


@pytest.mark.filterwarnings("ignore")
def test_what_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    run_here(*few_shot("ProtoNet", "").fit("a", [OLD, NEW]))
    whole, other = Path("runs/a"), Path("runs/b")
    shutil.copytree(whole, other)
    assert differences(whole, other) == []
    results = json.loads((other / "results.json").read_text())
    results["matrix"][0][0] += 1e-9
    (other / "results.json").write_text(json.dumps(results))
    (other / "metrics.csv").write_text((other / "metrics.csv").read_text() + "1,2\n")
    assert differences(whole, other) == ["matrix/0/0", "metrics.csv"]


def test_chains_have_names_of_their_own() -> None:
    assert len({chain.name for chain in CHAINS}) == len(CHAINS)
