"""Drawing: which examples come back, and as examples of which classes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from strategies import Replay
from strategies.memory.budget import Budget
from tests.strategies.memories import (
    LEARNER,
    RUNNER,
    at,
    every_policy,
    kept,
    memory_of,
    stream_batch,
)
from tests.toys import FewClasses, fit, make_classifier, toy_examples


class Watched(Replay):
    """Remembers what each step was trained on."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seen: dict[tuple[int, int], Episode] = {}

    def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
        joined = super().rehearse(learner, batch, position, runner=runner)
        self.seen[position.experience, position.step] = joined
        return joined


def origin(batch: Episode) -> list[tuple[int, int]]:
    """The domain and the class there of each example."""
    table = {
        tuple(x.tolist()): (number, int(y))
        for number, domain in enumerate(FewClasses(3).domains())
        for x, y in zip(domain.x, domain.y, strict=True)
    }
    return [table[tuple(x.tolist())] for x in batch.query_x[:, 0]]


@every_policy
@pytest.mark.parametrize("classes", ["all", "seen", "current"])
def test_all_seen_classes_compete_for_an_old_example(policy: str, classes: str) -> None:
    replay = Watched(policy=policy, budget=Budget(examples=24))
    fit(make_classifier(), toy_examples("class", 3, classes=classes), [replay])
    domains = set()
    for (experience, _), batch in replay.seen.items():
        assert batch.classes is not None
        n_ways = 12 if classes == "all" else 4 * (experience + 1)
        assert len(batch) == (8 if experience == 0 else 16)
        for i, (domain, number) in enumerate(origin(batch)):
            ways = batch.classes[i].tolist()
            own = [*range(4 * experience, 4 * experience + 4)] if classes == "current" else [*range(n_ways)]
            wanted = own if i < 8 else [*range(n_ways)]
            assert ways == wanted + [-1] * (len(ways) - len(wanted))
            assert ways[int(batch.query_y[i])] == 4 * domain + number
            domains.add((i < 8, experience, domain))
    assert {(False, 2, 0), (False, 2, 1), (False, 1, 0)} <= domains
    assert ((False, 2, 2) in domains) == (policy == "reservoir")


@every_policy
@pytest.mark.parametrize("scenario", ["domain", "task"])
def test_old_examples_of_a_domain_or_task_keep_its_ways(policy: str, scenario: str) -> None:
    replay = Watched(policy=policy, budget=Budget(examples=24))
    fit(make_classifier(), toy_examples(scenario, 3), [replay])
    domains = set()
    for (experience, _), batch in replay.seen.items():
        assert batch.classes is not None
        for i, (domain, number) in enumerate(origin(batch)):
            first = 0 if scenario == "domain" else 4 * domain
            assert batch.classes[i].tolist() == [*range(first, first + 4)]
            assert int(batch.query_y[i]) == number
            domains.add((i < 8, experience, domain))
    assert {(True, 2, 2), (False, 2, 0), (False, 2, 1)} <= domains


@every_policy
def test_ranks_share_the_draws_of_one(policy: str) -> None:
    replay, _ = kept(2, policy=policy, budget=Budget(examples=24))
    memory = memory_of(replay)
    for n, world in ((8, 2), (7, 3), (2, 3)):
        for home in (None, 0):
            whole = memory.pick(n, at(2, 5, n=n), experience=home)
            for rank in range(world):
                mine = memory.pick(n, at(2, 5, n=n, rank=rank, world=world), experience=home)
                assert torch.equal(mine, whole[rank::world])
    batch = stream_batch(torch.zeros(1, 4), [0], [*range(8)])
    share = replace(at(2, n=2), rank=1, world=2)
    assert replay.rehearse(LEARNER, batch, share, runner=RUNNER).query_x.shape[0] == 2
    replay.n_replay = 1  # the other rank has it
    assert replay.rehearse(LEARNER, batch, share, runner=RUNNER) is batch


def test_draws_are_even_and_differ_by_step_group_and_salt() -> None:
    replay, _ = kept(3, budget=Budget(examples=24))
    memory = memory_of(replay)
    draws = [
        memory.pick(8, at(3, step, n=8), experience=home, salt=salt)
        for step, home, salt in itertools.product(range(3), (None, 0), (0, 1))
    ]
    assert len({tuple(rows.tolist()) for rows in draws}) == len(draws)
    assert torch.equal(memory.pick(8, at(3, 1, n=8)), memory.pick(8, at(3, 1, n=8)))
    counts = torch.bincount(memory.pick(24000, at(3, n=8)), minlength=24)
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7  # the 99.9 % point of χ²(23)
    for home in memory.experiences:
        assert set(memory.rows.experience[memory.pick(200, at(3, n=8), experience=home)].tolist()) == {home}
    assert memory.experiences == [0, 1, 2]
