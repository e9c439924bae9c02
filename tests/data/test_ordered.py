"""Domains whose examples follow each other in time: a task is a window of consecutive ones, the support first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool, TaskShape
from lifelong.data.position import Position
from lifelong.data.sampling import draw_task, generator
from lifelong.data.source import Source
from lifelong.data.splits import split_domain
from strategies import Replay
from strategies.memory.budget import Budget
from tests.toys import fit, make_learner

CPU = torch.device("cpu")
LENGTH = 10


class Clock(Source):
    """Segments of ten moments each; an example is (its segment, its time, 0, 0)."""

    def __init__(self, n_domains: int = 1, holdout: Literal["classes", "examples"] = "classes") -> None:
        self.n_domains, self.holdout = n_domains, holdout

    def domains(self) -> list[Domain]:
        y, time = np.repeat(np.arange(12), LENGTH), np.tile(np.arange(LENGTH), 12)
        x = torch.from_numpy(np.stack([y, time, 0 * y, 0 * y], axis=1)).float()
        whole = Domain("clock", x, y, [f"s{i}" for i in range(12)], targets=x[:, 1:2].clone(), ordered=True)
        return [replace(whole, name=f"clock {i}", holdout=self.holdout, siblings=2) for i in range(self.n_domains)]


def data(n_domains: int = 1, **settings: Any) -> EpisodicDataModule:
    few: dict[str, Any] = {"n_way": 1, "n_shot": 3, "n_query": 2, "n_eval_tasks": 8, "steps_per_experience": 2}
    return EpisodicDataModule([Clock(n_domains)], **({"split": (2, 2)} | few | settings))


def check(batch: Episode) -> set[int]:
    """Each task is one stretch of one segment, in order; gives the times that begin one."""
    x = torch.cat([batch.support_x, batch.query_x], dim=1)
    assert (x[..., 0] == x[:, :1, 0]).all()
    assert (x[:, 1:, 1] - x[:, :-1, 1] == 1).all()
    return set(x[:, 0, 1].int().tolist())


def test_tasks_are_windows_of_one_segment_with_the_support_first() -> None:
    made = data()
    batch = made.draw(made.stream.experiences[0], "train", range(200)).gather(CPU)
    assert check(batch) == set(range(LENGTH - 5 + 1))
    assert torch.equal(batch.support_y[..., 0], batch.support_x[..., 1])
    assert set(batch.support_x[:, 0, 0].int().tolist()) == {
        int(name[1:]) for name in made.stream.experiences[0].pools[0].names
    }
    for part in ("val", "test"):
        check(made.draw_for_evaluation(part, 0, range(8)).gather(CPU))


def test_a_window_may_be_the_whole_segment() -> None:
    made = data(n_shot=7, n_query=3)
    assert check(made.draw(made.stream.experiences[0], "train", range(8)).gather(CPU)) == {0}


def test_several_ways_are_windows_shot_by_shot() -> None:
    pool = Pool(torch.zeros(30, 1), np.split(np.arange(30), 3), list("abc"), ordered=True)
    draw = draw_task([pool], TaskShape(2, 3, 2), generator(0, "train", 0, 3))
    picked = np.concatenate([draw.support.reshape(3, 2), draw.query.reshape(2, 2)])
    assert (np.diff(picked, axis=0) == 1).all()
    assert (picked // 10 == draw.classes).all()


def test_parts_of_held_out_examples_are_stretches_too() -> None:
    (domain,) = Clock(holdout="examples").domains()
    parts = split_domain(domain, "clock", (0.2, 0.3), seed=0)
    assert [len(parts[p].members[0]) for p in ("train", "val", "test")] == [5, 2, 3]
    for pool in parts.values():
        assert pool.ordered
        for members in pool.members:
            assert (np.diff(members) == 1).all()


def test_all_parts_and_their_parts_stay_ordered() -> None:
    stream = data().stream
    pools = [*stream.experiences[0].pools, *stream.val, *stream.test]
    assert all(pool.ordered and pool.take([0], "one").ordered for pool in pools)
    assert not Pool(torch.zeros(2, 1), [np.arange(2)], ["a"]).ordered


@pytest.mark.parametrize("resumed", [False, True])
def test_rehearsed_tasks_are_windows(resumed: bool) -> None:
    replay, learner = Replay(budget=Budget(examples=60)), make_learner("MAML", kind="regression")
    made = data(2, tasks_per_batch=4)
    fit(learner, made, [replay])
    if resumed:
        state, replay = replay.get_extra_state(), Replay(budget=Budget(examples=60))
        replay.attach(learner)
        replay.set_extra_state(state)
    batch = made.draw(made.stream.experiences[1], "train", range(4)).gather(CPU)
    rehearsed = replay.rehearse(learner, batch, Position(2, n_tasks=4), runner=TaskRunner())
    assert isinstance(rehearsed, Episode)
    assert len(rehearsed) > 4
    check(rehearsed)
