"""Memories of labelled examples: they keep to their budget, and give back what they were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.examples import ExampleDataModule
from lifelong.data.pool import as_input
from strategies import Replay
from strategies.memory.balanced import BalancedMemory
from strategies.memory.budget import Budget
from strategies.memory.rehearsal import make_example_memory
from strategies.memory.reservoir import Reservoir
from tests.interrupted import fit_twice
from tests.strategies.memories import (
    CPU,
    LEARNER,
    RUNNER,
    at,
    columns,
    copy,
    every_policy,
    every_scenario,
    kept,
    memory_of,
    pool,
    stream_batch,
    visit,
)
from tests.toys import fit, make_classifier, same, toy_examples, weights


@every_policy
@pytest.mark.parametrize("budget", [12, 25, 31])
def test_budget_in_examples_is_never_exceeded(policy: str, budget: int) -> None:
    _, history = kept(policy=policy, budget=Budget(examples=budget))
    assert all(0 < sum(counts.values()) <= budget for counts in history)


@every_policy
@pytest.mark.parametrize("budget", [12 * 24, 700])
def test_budget_in_bytes_is_never_exceeded(policy: str, budget: int) -> None:
    replay, history = kept(policy=policy, budget=Budget(bytes=budget))
    sizes = [sum(counts.values()) for counts in history]
    assert replay.memory_bytes() == sizes[-1] * 24  # four floats, a class and an experience
    assert all(0 < size * 24 <= budget for size in sizes)


def test_too_small_budgets_are_refused_with_numbers() -> None:
    with pytest.raises(ValueError, match=r"budget is 3 examples.*4 classes.*at least 4 \(96 bytes\)"):
        kept(1, budget=Budget(examples=3))
    with pytest.raises(ValueError, match=r"budget is 5 examples.*domain 1.*8 classes.*at least 8"):
        kept(2, budget=Budget(examples=5))
    for policy in ("class_balanced", "reservoir"):
        with pytest.raises(ValueError, match=r"budget is 0 examples \(of 24 bytes\)"):
            kept(1, policy=policy, budget=Budget(bytes=23))
    with pytest.raises(ValueError, match=r"budget\.per_class is -1"):
        Budget(per_class=-1)


@every_policy
def test_a_memory_of_nothing_is_plain_fine_tuning(policy: Any) -> None:
    found = []
    for strategies in ([], [Replay(budget=Budget(examples=0), policy=policy)]):
        learner = make_classifier()
        fit(learner, toy_examples("class", 3), strategies)
        found.append(weights(learner))
    assert same(*found)
    assert strategies[0].memory_bytes() == 0


def test_inputs_of_two_types_are_refused() -> None:
    # Joined they would all be floats, and those that were uint8 would no longer be scaled to 0 … 1.
    memory = make_example_memory(Budget(8), "class_balanced")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    with pytest.raises(ValueError, match=r"uint8, but those before it are torch.float32"):
        memory.begin(
            LEARNER, visit(1, pool(torch.zeros(2, 1, dtype=torch.uint8), [2, 3]), ways=[0, 1, 2, 3]), runner=RUNNER
        )


@every_policy
@every_scenario
def test_stored_examples_are_copies_of_training_examples(policy: str, scenario: str) -> None:
    replay, data = Replay(policy=policy, budget=Budget(examples=24)), toy_examples(scenario, 3)  # type: ignore[arg-type]
    fit(make_classifier(), data, [replay])
    memory = memory_of(replay)
    allowed = {}
    for experience in data.stream.experiences:
        (source,) = experience.pools
        for number, members in zip(source.numbers.tolist(), source.members, strict=True):
            rows = source.x[torch.from_numpy(members)]
            allowed |= {tuple(x.tolist()): (experience.index, number) for x in rows}
    for x, home, number in zip(memory.rows.x, memory.rows.experience.tolist(), memory.rows.label.tolist(), strict=True):
        assert allowed[tuple(x.tolist())] == (home, number)
    assert memory.rows.x.untyped_storage().nbytes() == memory.rows.x.nbytes
    assert len(memory.rows.x.unique(dim=0)) == len(memory) or policy == "reservoir"  # which sees some more than once


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
def test_examples_come_back_as_they_were(dtype: torch.dtype) -> None:
    x = torch.arange(256).to(dtype)[:, None]
    if dtype != torch.uint8:
        x = x / 7
    some = pool(x, [i % 2 for i in range(256)])
    by_end, by_watching = BalancedMemory(Budget(256)), Reservoir(Budget(256))
    for memory in (by_end, by_watching):
        memory.begin(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    by_end.end(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    by_watching.update(
        LEARNER, stream_batch(as_input(x), [i % 2 for i in range(256)], [0, 1]), at(0, n=256), runner=RUNNER
    )
    for memory in (by_end, by_watching, copy(by_watching)):
        assert memory.rows.x.dtype == dtype
        assert torch.equal(memory.rows.x.sort(0).values, x)
        assert memory.nbytes == 256 * (x[0].nbytes + 8)
        batch = memory.episode(torch.arange(256), CPU)
        assert torch.equal(batch.query_x[:, 0].sort(0).values, as_input(x))


@every_policy
def test_a_run_goes_on_bit_for_bit(policy: Any, tmp_path: Path) -> None:
    def data() -> ExampleDataModule:
        return toy_examples("class", 3)

    replays: list[Replay] = []

    def strategies() -> list[Replay]:
        replays.append(Replay(policy=policy, budget=Budget(examples=24)))
        return replays[-1:]

    (whole, _), (resumed, _) = fit_twice(make_classifier, data, strategies, tmp_path, step=6)
    assert same(weights(whole), weights(resumed))
    one, two = (memory_of(replay) for replay in replays)
    assert same(columns(one), columns(two))
    assert one.n_past == two.n_past
    assert getattr(one, "n_seen", None) == getattr(two, "n_seen", None)
    assert torch.equal(one.competing(), two.competing())
