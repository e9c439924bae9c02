"""The suite of overheads digests rows, and measures something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

import strategies
from benchmarks.performance import overhead
from benchmarks.performance.against import Against, lightning_alone
from benchmarks.performance.suite import Rows, Settings
from lifelong.networks import MLP
from tests.toys import Toy, make_learner, toy_data


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median / 2, "high": median * 2}


def step(name: str, bare: float, whole: float) -> dict[str, Any]:
    return {
        "part": "step",
        "name": name,
        "bare": spread(bare),
        "whole": spread(whole),
        "added": spread(whole - bare),
        "share": spread(whole / bare - 1),
    }


STRATEGY = {"part": "strategy", "name": "EWC", "kind": "class", "ratio": spread(1.5)} | {
    key: spread(0.01) for key in ("with", "without", "begin", "end")
}
ROWS: Rows = [step("short", 0.001, 0.002), step("fine", 0.005, 0.0054), step("slow", 0.02, 0.03), STRATEGY]


def test_a_promise_is_made_for_steps_that_are_long_enough() -> None:
    steps, costs = overhead.tables(ROWS)
    assert list(steps.columns[-1].cells) == ["", "met", "missed"]
    assert list(costs.columns[0].cells) == ["EWC"]
    assert [table.title for table in overhead.tables([STRATEGY])] == [costs.title]


def test_strategies_are_drawn_where_there_are_any() -> None:
    figure = overhead.plot(ROWS)
    assert figure is not None
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["EWC (class)"]
    assert overhead.plot(ROWS[:3]) is None


def test_every_strategy_is_measured() -> None:
    assert set(overhead.MAKERS) == set(strategies.__all__)
    assert {name for name, _ in overhead.strategy_cases()} == set(strategies.__all__)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice about the Trainer, which the command line silences
def test_a_strategy_is_clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    source = overhead.Kept(Toy(2).domains())
    monkeypatch.setattr(overhead, "MLP", lambda **sizes: MLP(**(sizes | {"n_inputs": 4})))
    row = overhead.strategy_cost("EWC", "class", source, Settings(quick=True))
    assert row["with"]["median"] > 0
    assert row["end"]["median"] > row["begin"]["median"] > 0


def test_whole_and_bare_steps_are_timed_block_by_block(tmp_path: Path) -> None:
    learner, data = make_learner("ProtoNet"), toy_data(1, steps_per_experience=7)
    learner.use([])
    silent: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    path = tmp_path / "result.json"
    callbacks: Any = [Against(str(path), 2)]
    trainer = L.Trainer(**silent, accelerator="cpu", devices=1, max_epochs=1, limit_val_batches=0, callbacks=callbacks)
    trainer.fit(learner, datamodule=data)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [len(found[key]) for key in ("whole", "bare")] == [2, 2]
    assert min(found["whole"] + found["bare"]) > 0


@pytest.mark.filterwarnings("ignore")
def test_lightning_alone_is_timed_in_the_same_blocks() -> None:
    found = lightning_alone(torch.device("cpu"), 2, 3)
    assert [len(found[key]) for key in ("whole", "bare")] == [2, 2]
    assert min(found["whole"] + found["bare"]) > 0
