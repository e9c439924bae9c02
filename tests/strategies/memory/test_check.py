"""Budgets that are too small are refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from strategies import Replay
from strategies.memory.budget import Budget
from tests.toys import fit, make_classifier, make_learner, toy_data, toy_examples


def refused(learner: Learner, data: StreamDataModule, replay: Replay, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a fit says that evaluates the untrained learner first, and fails if it comes to that."""

    def evaluated(*_: Any, **__: Any) -> None:
        raise AssertionError("the learner was evaluated before the budget was refused")

    monkeypatch.setattr("lifelong.training.stream_module.StreamModule.validation_step", evaluated)
    with pytest.raises(ValueError, match="budget") as refusal:
        fit(learner, data, [replay], num_sanity_val_steps=-1, limit_val_batches=1.0)
    return str(refusal.value)


def test_a_budget_too_small_for_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(make_learner("ProtoNet"), toy_data(3), Replay(budget=Budget(examples=30)), monkeypatch)
    assert "at least 36" in message


@pytest.mark.parametrize("policy", ["class_balanced", "herding"])
def test_a_budget_too_small_for_later_classes(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay(budget=Budget(examples=9), policy=policy)
    message = refused(make_classifier(), toy_examples("class", 3), replay, monkeypatch)
    assert "with domain 2 there are 12 classes" in message


def test_a_budget_too_small_for_a_single_example(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay(budget=Budget(bytes=23), policy="reservoir")
    assert "0 examples" in refused(make_classifier(), toy_examples("class", 2), replay, monkeypatch)


def test_experiences_that_are_not_due_do_not_count() -> None:
    replay = Replay(budget=Budget(examples=9))
    fit(make_classifier(), toy_examples("class", 3), [replay], max_epochs=2)
    assert 0 < replay.memory_bytes() <= 9 * 24
