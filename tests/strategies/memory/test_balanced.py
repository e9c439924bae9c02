"""A balanced memory keeps as many examples of every class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lifelong.data.pool import Pool
from strategies import Replay
from strategies.memory.budget import Budget
from strategies.memory.rehearsal import make_example_memory
from tests.strategies.memories import (
    LEARNER,
    RUNNER,
    every_scenario,
    kept,
    memory_of,
    pool,
    visit,
)
from tests.toys import AtEnd, fit, make_classifier, toy_examples


@pytest.mark.parametrize("policy", ["class_balanced", "herding"])
@every_scenario
def test_every_class_of_every_experience_keeps_as_many(policy: str, scenario: str) -> None:
    _, history = kept(policy=policy, scenario=scenario, budget=Budget(examples=25))
    for n_past, (counts, quota) in enumerate(zip(history, (6, 3, 2), strict=True), start=1):
        numbers = [(home, c if scenario == "domain" else 4 * home + c) for home in range(n_past) for c in range(4)]
        assert counts == dict.fromkeys(numbers, quota)


@pytest.mark.parametrize("policy", ["class_balanced", "herding"])
def test_a_budget_per_class_grows_with_the_classes(policy: str) -> None:
    _, history = kept(policy=policy, budget=Budget(per_class=5))
    assert [sum(counts.values()) for counts in history] == [20, 40, 60]
    assert all(set(counts.values()) == {5} for counts in history)
    _, history = kept(policy=policy, budget=Budget(examples=30, per_class=5))
    assert [set(counts.values()) for counts in history] == [{5}, {3}, {2}]


@pytest.mark.parametrize("policy", ["class_balanced", "herding"])
def test_what_stays_of_a_class_is_what_was_chosen_first(policy: str) -> None:
    replay, rows = Replay(policy=policy, budget=Budget(examples=25)), []  # type: ignore[arg-type, var-annotated]

    def look() -> None:
        memory = memory_of(replay)
        rows.append({n: memory.rows.x[memory.rows.label == n] for n in memory.rows.label.unique().tolist()})

    fit(make_classifier(), toy_examples("class", 3), [replay, AtEnd(look)])
    for before, after in ((rows[0], rows[1]), (rows[1], rows[2])):
        for number, x in before.items():
            assert torch.equal(after[number], x[: len(after[number])])


def test_a_class_with_few_examples_keeps_all_of_them() -> None:
    memory = make_example_memory(Budget(12), "class_balanced")
    some = pool(torch.arange(12.0)[:, None], [0] * 2 + [1] * 10)
    memory.begin(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    memory.end(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    assert memory.rows.label.tolist() == [0] * 2 + [1] * 6
    assert set(memory.rows.x[:2].flatten().tolist()) == {0, 1}


def test_variants_are_one_class_and_empty_classes_are_none() -> None:
    x = torch.arange(24.0)[:, None]
    members = [np.arange(8), np.arange(8, 16), np.arange(16, 24), np.arange(0)]
    some = Pool(x, members, list("aabb"), n_variants=2, numbers=np.array([0, 0, 1, 1]), name="pool")
    memory = make_example_memory(Budget(8), "class_balanced")
    for number in (0, 1):
        memory.begin(LEARNER, visit(number, some, ways=[0, 1]), runner=RUNNER)
        memory.end(LEARNER, visit(number, some, ways=[0, 1]), runner=RUNNER)
        assert len(memory) == 8
    assert memory.rows.label.tolist() == [0, 0, 1, 1] * 2
    kept_of_first = memory.rows.x[memory.rows.label == 0].flatten()
    assert kept_of_first.min() < 8 <= kept_of_first.max()  # of both variants
