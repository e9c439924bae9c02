from dataclasses import replace

import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position
from strategies import Replay
from strategies.memory.budget import Budget
from strategies.memory.task_memory import TaskMemory
from tests.toys import AtEnd, Toy, fit, make_learner, random_episode, toy_data

RUNNER = TaskRunner()

LEARNER = make_learner()


def pools_of(replay: Replay) -> list[Pool]:
    assert isinstance(replay.memory, TaskMemory)
    return replay.memory.pools


def kept(n: int = 3, **settings: int | None) -> tuple[Replay, list[list[list[int]]], list[int]]:
    replay, history, sizes = Replay(**settings), [], []  # type: ignore[arg-type, var-annotated]

    def look() -> None:
        history.append([[len(m) for m in p.members] for p in pools_of(replay)])
        sizes.append(replay.memory_bytes())

    fit(make_learner(), toy_data(n, shift=100.0, steps_per_experience=2), [replay, AtEnd(look)])
    return replay, history, sizes


@pytest.mark.parametrize("budget", [36, 50, 61, 400])
def test_budget_in_examples_is_never_exceeded(budget: int) -> None:
    _, history, _ = kept(budget=Budget(examples=budget))
    assert [len(pools) for pools in history] == [1, 2, 3]
    for pools in history:
        assert sum(map(sum, pools)) <= budget
        assert all(len(sizes) >= 3 and min(sizes) >= 4 for sizes in pools)


@pytest.mark.parametrize("budget", [36 * 16, 1000])
def test_budget_in_bytes_is_never_exceeded(budget: int) -> None:
    _, history, sizes = kept(budget=Budget(bytes=budget))
    assert sizes == [16 * sum(map(sum, pools)) for pools in history]
    assert max(sizes) <= budget
    assert all(len(s) >= 3 and min(s) >= 4 for pools in history for s in pools)


def test_too_small_budgets_are_refused_with_numbers() -> None:
    with pytest.raises(ValueError, match=r"budget of 35 examples leaves 11 for each of 3.*needs 12.*at least 36"):
        kept(budget=Budget(examples=35))
    with pytest.raises(ValueError, match="no budget"):
        Replay(budget=Budget(examples=None))


def test_kept_examples_own_their_memory_and_come_from_training() -> None:
    data, replay = toy_data(2, shift=100.0), Replay(budget=Budget(examples=60))
    fit(make_learner(), data, [replay])
    for pool, experience in zip(pools_of(replay), data.stream.experiences, strict=True):
        source = experience.pools[0]
        allowed = {tuple(row.tolist()) for m in source.members for row in source.x[torch.from_numpy(m)]}
        assert len(pool.x) == len(pool)
        assert {tuple(row.tolist()) for row in pool.x} <= allowed


def test_rehearsed_tasks_do_not_mix_experiences() -> None:
    replay, _, _ = kept(budget=Budget(examples=60))
    batch = random_episode(n_tasks=4)
    seen, tasks = set(), set()
    for step in range(5):
        rehearsed = replay.rehearse(LEARNER, batch, Position(3, step=step, n_tasks=4), runner=RUNNER)
        assert torch.equal(rehearsed.support_x[:4], batch.support_x)
        for i in range(4, 8):
            x = torch.cat([rehearsed.support_x[i], rehearsed.query_x[i]])
            (domain,) = (x.mean(-1) / 100).round().unique().tolist()
            assert len(x.unique(dim=0)) == 12
            seen.add(domain)
            tasks.add(tuple(x.flatten().tolist()))
    assert seen == {0, 1, 2}
    assert len(tasks) == 20


def test_ranks_share_the_rehearsed_tasks_of_one() -> None:
    replay, _, _ = kept(budget=Budget(examples=60))
    batch = random_episode(n_tasks=2)
    whole = replay.rehearse(LEARNER, batch, Position(3, step=1, n_tasks=4), runner=RUNNER)
    for rank in (0, 1):
        mine = replay.rehearse(LEARNER, batch, Position(3, step=1, n_tasks=4, rank=rank, world=2), runner=RUNNER)
        assert torch.equal(mine.support_x[2:], whole.support_x[2 + rank :: 2])


@pytest.mark.parametrize("n_replay", [None, 2, 6])
def test_every_experience_counts_alike(n_replay: int | None) -> None:
    replay, _, _ = kept(budget=Budget(examples=60))
    replay.n_replay = n_replay
    batch: Episode = replay.rehearse(LEARNER, random_episode(n_tasks=4), Position(3, n_tasks=4), runner=RUNNER)
    losses = torch.rand(len(batch))
    found = (losses * batch.weight).sum() / batch.weight.sum()
    torch.testing.assert_close(found, losses[:4].mean() / 4 + losses[4:].mean() * 3 / 4)
    replay.weighting = "equal"
    again = replay.rehearse(LEARNER, random_episode(n_tasks=4), Position(3, n_tasks=4), runner=RUNNER)
    assert again.weight.tolist() == [1] * len(batch)


def test_variants_of_a_class_do_not_meet_in_rehearsed_tasks() -> None:
    class Variants(Toy):
        def domains(self) -> list[Domain]:
            return [replace(d, n_variants=2) for d in super().domains()]

    replay = Replay(budget=Budget(examples=200))
    settings = {"n_way": 2, "n_shot": 2, "n_query": 2, "split": (2, 2), "steps_per_experience": 1, "n_eval_tasks": 2}
    data = EpisodicDataModule([Variants(2)], **settings)  # type: ignore[arg-type]
    fit(make_learner("ProtoNet"), data, [replay])
    source = Toy(2).domains()
    family = {tuple(x.tolist()): int(y) // 2 for d in source for x, y in zip(d.x, d.y, strict=True)}
    batch = random_episode(n_tasks=4, n_way=2)
    for step in range(10):
        rehearsed = replay.rehearse(LEARNER, batch, Position(2, step=step, n_tasks=4), runner=RUNNER)
        for x in rehearsed.support_x[4:]:
            assert family[tuple(x[0].tolist())] != family[tuple(x[1].tolist())]


def test_budget_in_bytes_holds_for_inputs_of_different_types() -> None:
    class Mixed(Toy):
        def domains(self) -> list[Domain]:
            first, second = super().domains()
            return [first, replace(second, x=(second.x * 10).clamp(0, 255).to(torch.uint8))]

    replay, budget = Replay(budget=Budget(bytes=600)), 600
    settings = {"n_way": 3, "n_shot": 2, "n_query": 2, "split": (3, 3), "steps_per_experience": 1, "n_eval_tasks": 2}
    fit(make_learner(), EpisodicDataModule([Mixed(2)], **settings), [replay])  # type: ignore[arg-type]
    assert len(pools_of(replay)) == 2
    assert replay.memory_bytes() <= budget


def test_rehearsed_classes_keep_their_numbers_after_a_resume() -> None:
    replay, data = Replay(budget=Budget(examples=60)), toy_data(2, shift=100.0)
    fit(make_learner(), data, [replay])
    resumed = Replay(budget=Budget(examples=60))
    resumed.attach(LEARNER)
    resumed.set_extra_state(replay.get_extra_state())
    trained = [dict(zip(p.names, p.numbers.tolist(), strict=True)) for e in data.stream.experiences for p in e.pools]
    for memory in (replay, resumed):
        for pool, numbers in zip(pools_of(memory), trained, strict=True):
            assert pool.numbers.tolist() == [numbers[name] for name in pool.names]
        batch = memory.rehearse(LEARNER, random_episode(n_tasks=4), Position(2, n_tasks=4), runner=RUNNER)
        assert batch.classes is not None
        assert {int(c) for c in batch.classes[4:].flatten()} <= {n for numbers in trained for n in numbers.values()}
