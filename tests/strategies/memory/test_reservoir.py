"""A reservoir keeps a uniform sample of the stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strategies import Replay
from strategies.memory.budget import Budget
from strategies.memory.rehearsal import make_example_memory
from tests.strategies.memories import (
    LEARNER,
    RUNNER,
    at,
    columns,
    copy,
    memory_of,
    pool,
    reservoir,
    stream_batch,
    update_with_numbers,
    visit,
)
from tests.toys import fit, make_classifier, same, toy_examples


@pytest.mark.parametrize("resumed", [False, True])
def test_a_reservoir_keeps_a_uniform_sample(resumed: bool) -> None:
    n_stream, capacity, n_seeds, counts = 12, 3, 1000, np.zeros(12)
    for seed in range(n_seeds):
        memory = reservoir(LEARNER, 8 if resumed else n_stream, capacity, seed=seed)
        if resumed:
            memory = copy(memory)
            update_with_numbers(memory, LEARNER, range(8, 12), step=2, seed=seed)
        assert memory.n_seen == n_stream
        counts[memory.rows.x[:, 0].long().numpy()] += 1
    expected = n_seeds * capacity / n_stream
    assert counts.sum() == n_seeds * capacity
    # Without replacement the variance of a count is 1 − M/n of a binomial one's; 31.3 is the 99.9 % point of χ²(11).
    assert ((counts - expected) ** 2 / expected).sum() / (1 - capacity / n_stream) * (n_stream - 1) / n_stream < 31.3


def test_a_reservoir_goes_on_bit_for_bit_after_a_resume() -> None:
    whole, begun = reservoir(LEARNER, 40, 6), reservoir(LEARNER, 20, 6)
    resumed = copy(begun)
    for step in range(5, 10):
        update_with_numbers(resumed, LEARNER, range(step * 4, (step + 1) * 4), step, seed=0)
    assert same(columns(resumed), columns(whole))
    assert resumed.n_seen == whole.n_seen == 40
    assert not same(columns(begun), columns(whole))


def test_a_batch_that_fills_a_reservoir_is_kept_in_part() -> None:
    memory = reservoir(LEARNER, 8, 6)
    assert len(memory) == 6
    assert set(memory.rows.x[:, 0].tolist()) <= set(range(8))
    assert memory.rows.label.tolist() == [int(x) % 2 for x in memory.rows.x[:, 0]]


def test_a_reservoir_stores_the_streams_own_examples_alone() -> None:
    memory = make_example_memory(Budget(10), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    batch = stream_batch(torch.tensor([[1.0], [2.0], [9.0], [9.0]]), [1, 0, 1, 1], [0, 1])
    memory.update(LEARNER, batch, at(0, n=2), {"note": torch.arange(4)}, runner=RUNNER)
    assert memory.rows.x.flatten().tolist() == [1, 2]
    assert memory.rows.extra["note"].tolist() == [0, 1]
    assert memory.n_seen == 2


def test_the_own_units_of_all_ranks_make_the_batch() -> None:
    for world in (1, 2, 3):
        shares = [at(0, n=5, rank=rank, world=world).n_own for rank in range(world)]
        assert sum(shares) == 5
        assert shares == [len(range(5)[rank::world]) for rank in range(world)]


def test_in_uneven_steps_a_reservoir_sees_every_example_once() -> None:
    # 32 examples in batches of at most 5 make steps of 5 and 6 examples.
    replay = Replay(budget=Budget(examples=500), policy="reservoir")
    fit(make_classifier(), toy_examples("class", 2, batch_size=5, steps_per_experience=None), [replay])
    memory = memory_of(replay)
    assert memory.n_seen == len(memory) == 64
    assert len(memory.rows.x.unique(dim=0)) == 64


def test_a_reservoir_copies_its_examples() -> None:
    memory = make_example_memory(Budget(2), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    x = torch.arange(4.0)[:, None]
    for step in range(8):
        memory.update(LEARNER, stream_batch(x, [0, 1, 0, 1], [0, 1]), at(0, step, n=4), runner=RUNNER)
    assert x.flatten().tolist() == [0, 1, 2, 3]
    assert memory.rows.x.untyped_storage().nbytes() == memory.rows.x.nbytes


def test_a_budget_per_class_does_not_suit_a_reservoir() -> None:
    with pytest.raises(ValueError, match="does not look at classes"):
        make_example_memory(Budget(per_class=3), "reservoir")


def test_what_is_kept_beside_an_example_counts() -> None:
    memory = make_example_memory(Budget(bytes=200), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 4), [0, 1]), ways=[0, 1]), runner=RUNNER)
    for step in range(20):
        batch = stream_batch(torch.randn(4, 4), [0, 1, 0, 1], [0, 1])
        memory.update(
            LEARNER, batch, at(0, step, n=4), {"logits": torch.randn(4, 3), "note": torch.ones(4)}, runner=RUNNER
        )
        assert memory.nbytes <= 200
    assert len(memory) == 200 // (16 + 8 + 12 + 4)
    assert memory.nbytes == len(memory) * 40


def test_a_reservoirs_past_is_without_the_current_experience() -> None:
    memory = reservoir(LEARNER, 8, 8)
    assert (memory.n_past, memory.experiences) == (0, [])
    memory.begin(LEARNER, visit(1, pool(torch.zeros(2, 1), [2, 3]), ways=[0, 1, 2, 3]), runner=RUNNER)
    memory.update(
        LEARNER, stream_batch(torch.full((200, 1), 99.0), [2, 3] * 100, [0, 1, 2, 3]), at(1, n=200), runner=RUNNER
    )
    assert 1 in memory.rows.experience.tolist()
    assert (memory.n_past, memory.experiences) == (1, [0] if 0 in memory.rows.experience.tolist() else [])
    untold = make_example_memory(Budget(8), "reservoir")
    untold.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1], has_boundaries=False), runner=RUNNER)
    assert untold.n_past == 0
    update_with_numbers(untold, LEARNER, range(4), step=0, seed=0)
    assert untold.n_past == 1
