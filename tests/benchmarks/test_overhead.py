"""The suite of overheads: whole and bare steps are timed together, and every strategy is clocked."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import pytest

import strategies
from benchmarks.performance import overhead
from benchmarks.performance.clocks import SILENT, Against, lightning_alone
from benchmarks.performance.suite import Row, Settings
from benchmarks.performance.tables import TABLES
from tests.toys import make_learner, module_of, toy_data


def spread(median: float) -> list[float]:
    return [median, median / 2, median * 2]


def step(name: str, bare: float, whole: float) -> Row:
    times = {"bare": bare, "whole": whole, "added": whole - bare, "share": whole / bare - 1}
    return {"name": name} | {key: spread(value) for key, value in times.items()}


STRATEGY: Row = {"name": "EWC", "kind": "class", "ratio": spread(1.5)} | {
    key: spread(0.01) for key in ("with", "without", "begin", "end")
}
ROWS: list[Row] = [step("short", 0.001, 0.002), step("fine", 0.005, 0.0054), step("slow", 0.02, 0.03), STRATEGY]


def test_a_promise_is_made_for_steps_that_are_long_enough() -> None:
    steps, costs = (table.markdown(ROWS).splitlines()[4:] for table in TABLES["overhead"])
    assert [line.split("|")[-2].strip() for line in steps] == ["", "met", "missed"]
    assert costs == ["| EWC | class | 10.00 ms | 1.50 (0.75 … 3.00) | 0.010 s | 0.010 s |"]


def test_every_strategy_is_measured() -> None:
    # Prompts are a transformer's alone, beside which a strategy's own cost cannot be seen.
    assert set(overhead.MAKERS) == set(strategies.__all__) - {"Budget", "PromptPool"}
    assert {name for name, _ in overhead.strategy_cases()} == set(overhead.MAKERS)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice about the Trainer, which the command line silences
def test_a_strategy_is_clocked() -> None:
    row = overhead.strategy_cost("EWC", "class", Settings(quick=True))
    assert row["with"][0] > 0
    assert min(row["begin"][0], row["end"][0]) > 0


def test_a_step_of_the_command_line_is_timed_beside_its_maths() -> None:
    row = overhead.step_cost(overhead.CASES["MAML, MLP"], Settings(quick=True))
    assert min(row["whole"][0], row["bare"][0]) > 0
    assert row["share"][1] <= row["share"][0] <= row["share"][2]


def test_whole_and_bare_steps_are_timed_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    clock, data = Against(2, str(path)), toy_data(1, steps_per_experience=7)
    trainer = L.Trainer(**SILENT, accelerator="cpu", devices=1, max_epochs=1, limit_val_batches=0, callbacks=[clock])
    trainer.fit(module_of(make_learner("ProtoNet")), datamodule=data)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [len(found[key]) for key in ("whole", "bare")] == [2, 2]
    assert min(found["whole"] + found["bare"]) > 0


@pytest.mark.filterwarnings("ignore")
def test_lightning_alone_is_timed_in_the_same_blocks() -> None:
    found = lightning_alone(Settings(), 2, 3)
    assert [len(found[key]) for key in ("whole", "bare")] == [2, 2]
    assert min(found["whole"] + found["bare"]) > 0
