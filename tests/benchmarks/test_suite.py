"""What all suites share: timing, tables, results as JSON lines, and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.performance import suite, throughput
from benchmarks.performance.layout import Table, load

CPU = torch.device("cpu")


def made_up(name: str, factor: float) -> dict[str, Any]:
    values = [factor, factor / 2, factor * 2]
    speeds = dict.fromkeys(("Lifelong", "loop by hand", "learn2learn"), values)
    ratio = dict.fromkeys(("loop by hand", "learn2learn", "learn2learn, from memory"), values)
    return {"setup": name, "plan": "all at once", "tasks per second": speeds, "ratio": ratio}


def test_contenders_are_timed_alternately() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}  # type: ignore[misc]
    times = suite.alternate(contenders, device=CPU, repetitions=3, seconds=0.0)
    assert [len(values) for values in times.values()] == [3, 3]
    assert "".join(calls) == "aabb" + "ab" + "ba" + "ab"


def test_a_table_takes_its_own_rows() -> None:
    table = Table("t", {"name": lambda row: row["name"]}, lambda row: "points" in row)
    assert table.markdown([{"name": "a"}]) == ""
    assert table.markdown([{"name": "a"}, {"name": "b", "points": []}]).splitlines()[-1] == "| b |"


def test_rows_that_were_measured_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "throughput-cpu.jsonl"
    suite.save(path, [made_up("one", 1.0), made_up("two", 1.0)], CPU)
    kept = suite.save(path, [made_up("three", 2.0), made_up("one", 2.0)], CPU)
    assert [row["setup"] for row in kept] == ["one", "two", "three"]  # each in its place, new ones after them
    assert load(path) == kept
    assert [row["ratio"]["learn2learn"][0] for row in kept] == [2, 1, 2]


def test_the_command_keeps_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "measure", lambda settings, say: [made_up("one", 1.0)])

    def run(*words: str) -> str:
        command.main(["throughput", "--results", str(tmp_path), *words])
        return capsys.readouterr().out

    assert "has not been measured" in run("--show")
    run("--quick")
    assert not list(tmp_path.iterdir())
    assert "1.00 (0.50 … 2.00)" in run()
    assert [path.name for path in tmp_path.iterdir()] == ["throughput-cpu.jsonl"]
    shown = run("--show")
    assert "| one | all at once |" in shown
    assert "threads, torch" in shown


@pytest.mark.parametrize("name", command.SUITES)
def test_every_suite_shows_what_was_recorded(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command.main([name, "--show"])
    printed = capsys.readouterr().out
    assert printed.startswith("**") or "has not been measured" in printed


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["speed"], "there is no suite speed, only throughput"),
        (["throughput", "--device", "cuda"], "torch finds no GPU here: leave --device cuda out"),
        (["scale", "--precision", "bf16"], "only throughput is measured in bf16"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        command.main(words)
    assert answer in capsys.readouterr().err


def test_a_word_in_no_row_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["throughput", "--only", "nonsense"])
    assert capsys.readouterr().out.startswith("throughput has no row with nonsense in its name\n")
