"""The memory of labelled examples: what it keeps, that it keeps to its budget, and what it gives back."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool, as_input
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from strategies import Replay
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory, herd
from tests.interrupted import fit_twice
from tests.strategies.memories import CPU, at, pool, reservoir, stream_batch, visit, watch_numbers
from tests.toys import AtEnd, FewClasses, fit, make_classifier, make_learner, same, toy_examples, weights

RUNNER = TaskRunner()

LEARNER = make_classifier()
POLICIES = ["class_balanced", "herding", "reservoir"]
every_policy = pytest.mark.parametrize("policy", POLICIES)
every_scenario = pytest.mark.parametrize("scenario", ["class", "domain", "task"])


def memory_of(replay: Replay) -> ExampleMemory:
    assert isinstance(replay.memory, ExampleMemory)
    return replay.memory


def kept(n: int = 3, scenario: str = "class", **settings: Any) -> tuple[Replay, list[dict[tuple[int, int], int]]]:
    """A memory after ``n`` experiences, and how many examples of each (experience, class) it held after each."""
    replay, history = Replay(**settings), []

    def look() -> None:
        memory = memory_of(replay)
        pairs = list(zip(memory.home.tolist(), memory.number.tolist(), strict=True))
        history.append({pair: pairs.count(pair) for pair in sorted(set(pairs))})

    fit(make_classifier(), toy_examples(scenario, n), [replay, AtEnd(look)])
    return replay, history


def copy(memory: ExampleMemory) -> ExampleMemory:
    """The memory after a trip through a checkpoint file."""
    file = io.BytesIO()
    torch.save(memory.state(), file)
    file.seek(0)
    other = ExampleMemory(memory.budget, memory.policy)
    other.load(torch.load(file, weights_only=True))
    return other


def columns(memory: ExampleMemory) -> dict[str, Tensor]:
    return memory._take(slice(None))


# -- the reservoir --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resumed", [False, True])
def test_a_reservoir_keeps_every_example_with_the_same_probability(resumed: bool) -> None:
    n_stream, capacity, n_seeds, counts = 12, 3, 1000, np.zeros(12)
    for seed in range(n_seeds):
        memory = reservoir(LEARNER, 8 if resumed else n_stream, capacity, seed=seed)
        if resumed:
            memory = copy(memory)
            watch_numbers(memory, LEARNER, range(8, 12), step=2, seed=seed)
        assert memory.n_watched == n_stream
        counts[memory.x[:, 0].long().numpy()] += 1
    expected = n_seeds * capacity / n_stream
    assert counts.sum() == n_seeds * capacity
    # Without replacement the variance of a count is 1 − M/n of a binomial one's; 31.3 is the 99.9 % point of χ²(11).
    assert ((counts - expected) ** 2 / expected).sum() / (1 - capacity / n_stream) * (n_stream - 1) / n_stream < 31.3


def test_a_reservoir_goes_on_bit_for_bit_after_a_resume() -> None:
    whole, begun = reservoir(LEARNER, 40, 6), reservoir(LEARNER, 20, 6)
    resumed = copy(begun)
    for step in range(5, 10):
        watch_numbers(resumed, LEARNER, range(step * 4, (step + 1) * 4), step, seed=0)
    assert same(columns(resumed), columns(whole))
    assert resumed.n_watched == whole.n_watched == 40
    assert not same(columns(begun), columns(whole))


def test_a_batch_that_fills_a_reservoir_is_kept_in_part() -> None:
    memory = reservoir(LEARNER, 8, 6)
    assert len(memory) == 6
    assert set(memory.x[:, 0].tolist()) <= set(range(8))
    assert memory.number.tolist() == [int(x) % 2 for x in memory.x[:, 0]]


def test_a_reservoir_watches_the_streams_own_examples_alone() -> None:
    memory = ExampleMemory(Budget(10), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    batch = stream_batch(torch.tensor([[1.0], [2.0], [9.0], [9.0]]), [1, 0, 1, 1], [0, 1])
    memory.watch(LEARNER, batch, at(0, n=2), {"note": torch.arange(4)}, runner=RUNNER)
    assert memory.x.flatten().tolist() == [1, 2]
    assert memory.extra["note"].tolist() == [0, 1]
    assert memory.n_watched == 2


def test_the_streams_own_units_of_all_ranks_are_those_of_the_batch() -> None:
    for world in (1, 2, 3):
        shares = [at(0, n=5, rank=rank, world=world).n_own for rank in range(world)]
        assert sum(shares) == 5
        assert shares == [len(range(5)[rank::world]) for rank in range(world)]


def test_in_passes_of_uneven_steps_a_reservoir_sees_every_example_once() -> None:
    # 32 examples in batches of at most 5 make steps of 5 and 6 examples.
    replay = Replay(budget=Budget(examples=500), policy="reservoir")
    fit(make_classifier(), toy_examples("class", 2, batch_size=5, steps_per_experience=None), [replay])
    memory = memory_of(replay)
    assert memory.n_watched == len(memory) == 64
    assert len(memory.x.unique(dim=0)) == 64


def test_kept_examples_of_a_reservoir_do_not_share_memory_with_the_batch() -> None:
    memory = ExampleMemory(Budget(2), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    x = torch.arange(4.0)[:, None]
    for step in range(8):
        memory.watch(LEARNER, stream_batch(x, [0, 1, 0, 1], [0, 1]), at(0, step, n=4), runner=RUNNER)
    assert x.flatten().tolist() == [0, 1, 2, 3]
    assert memory.x.untyped_storage().nbytes() == memory.x.nbytes


def test_a_budget_per_class_does_not_suit_a_reservoir() -> None:
    with pytest.raises(ValueError, match="does not look at classes"):
        ExampleMemory(Budget(per_class=3), "reservoir")


# -- budgets and balance --------------------------------------------------------------------------------------------


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


def test_what_is_kept_beside_an_example_counts() -> None:
    memory = ExampleMemory(Budget(bytes=200), "reservoir")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 4), [0, 1]), ways=[0, 1]), runner=RUNNER)
    for step in range(20):
        batch = stream_batch(torch.randn(4, 4), [0, 1, 0, 1], [0, 1])
        memory.watch(
            LEARNER, batch, at(0, step, n=4), {"logits": torch.randn(4, 3), "note": torch.ones(4)}, runner=RUNNER
        )
        assert memory.nbytes <= 200
    assert len(memory) == 200 // (16 + 8 + 12 + 4)
    assert memory.nbytes == len(memory) * 40


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
        rows.append({n: memory.x[memory.number == n] for n in memory.number.unique().tolist()})

    fit(make_classifier(), toy_examples("class", 3), [replay, AtEnd(look)])
    for before, after in ((rows[0], rows[1]), (rows[1], rows[2])):
        for number, x in before.items():
            assert torch.equal(after[number], x[: len(after[number])])


def test_a_class_with_few_examples_keeps_all_of_them() -> None:
    memory = ExampleMemory(Budget(12), "class_balanced")
    some = pool(torch.arange(12.0)[:, None], [0] * 2 + [1] * 10)
    memory.begin(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    memory.end(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    assert memory.number.tolist() == [0] * 2 + [1] * 6
    assert set(memory.x[:2].flatten().tolist()) == {0, 1}


def test_variants_of_a_class_are_one_class_and_empty_classes_none() -> None:
    x = torch.arange(24.0)[:, None]
    members = [np.arange(8), np.arange(8, 16), np.arange(16, 24), np.arange(0)]
    some = Pool(x, members, list("aabb"), n_variants=2, numbers=np.array([0, 0, 1, 1]), name="pool")
    memory = ExampleMemory(Budget(8), "class_balanced")
    for number in (0, 1):
        memory.begin(LEARNER, visit(number, some, ways=[0, 1]), runner=RUNNER)
        memory.end(LEARNER, visit(number, some, ways=[0, 1]), runner=RUNNER)
        assert len(memory) == 8
    assert memory.number.tolist() == [0, 0, 1, 1] * 2
    kept_of_first = memory.x[memory.number == 0].flatten()
    assert kept_of_first.min() < 8 <= kept_of_first.max()  # of both variants


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
    memory = ExampleMemory(Budget(8), "class_balanced")
    memory.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1]), runner=RUNNER)
    with pytest.raises(ValueError, match=r"uint8, but those before it are torch.float32"):
        memory.begin(
            LEARNER, visit(1, pool(torch.zeros(2, 1, dtype=torch.uint8), [2, 3]), ways=[0, 1, 2, 3]), runner=RUNNER
        )


# -- herding --------------------------------------------------------------------------------------------------------


def test_herding_picks_worked_out_by_hand() -> None:
    # Directions a, b, c have the mean (0.533, 0.6): b is nearest; then (a + b)/2 at 0.33 beats (b + c)/2 at 0.38.
    features = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert herd(features, 3).tolist() == [1, 0, 2]
    assert herd(features * torch.tensor([[5.0], [0.1], [2.0]]), 3).tolist() == [1, 0, 2]


def test_herding_minimises_the_distance_of_means() -> None:
    features = torch.nn.functional.normalize(torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).double())
    chosen: list[int] = []
    for k in range(1, 21):
        free = [i for i in range(20) if i not in chosen]
        means = [(features[chosen].sum(0) + features[i]) / k for i in free]
        gaps = torch.stack([(features.mean(0) - mean).norm() for mean in means])
        chosen.append(free[int(gaps.argmin())])
    assert herd(features, 20).tolist() == chosen
    assert herd(features, 99).tolist() == chosen
    assert herd(features, 7).tolist() == chosen[:7]
    assert herd(features * torch.arange(1, 21)[:, None], 20).tolist() == chosen  # directions alone count


def test_rounding_does_not_choose_between_equal_features() -> None:
    # A network with few active units gives many examples the same direction.
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(5, 1)
    noise = 1e-7 * torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    assert herd(features, 6).tolist() == herd(features + noise, 6).tolist() == [0, 1, 2, 3, 4, 5]


def test_herding_keeps_the_examples_that_herd_names() -> None:
    learner, data = make_classifier(), toy_examples("class", 1)
    replay, features = Replay(budget=Budget(examples=12), policy="herding"), {}

    def look() -> None:
        for number, members in enumerate(data.stream.experiences[0].pools[0].members):
            x = data.stream.experiences[0].pools[0].x[torch.from_numpy(members)]
            embedded = learner.embed(learner.meta_parameters(), x).detach()
            features[number] = x[herd(embedded, 3)]

    fit(learner, data, [replay, AtEnd(look)])
    memory = memory_of(replay)
    for number, x in features.items():
        found = memory.x[memory.number == number]
        torch.testing.assert_close(found, x, rtol=0, atol=0)


def test_herding_leaves_the_network_as_it_is() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))
    learner, found = Classifier(network), []
    learner.train()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    some = pool(torch.randn(12, 4), [0, 1] * 6)
    for _ in range(2):
        memory = ExampleMemory(Budget(4), "herding")
        memory.begin(learner, visit(0, some, ways=[0, 1]), runner=RUNNER)
        memory.end(learner, visit(0, some, ways=[0, 1]), runner=RUNNER)
        found.append(memory.x)
    assert torch.equal(*found)
    assert same(before, dict(learner.state_dict()))
    assert network.training
    assert network[2].training


# -- what is kept ---------------------------------------------------------------------------------------------------


@every_policy
@every_scenario
def test_kept_examples_own_their_memory_and_come_from_training_with_their_class(policy: str, scenario: str) -> None:
    replay, data = Replay(policy=policy, budget=Budget(examples=24)), toy_examples(scenario, 3)  # type: ignore[arg-type]
    fit(make_classifier(), data, [replay])
    memory = memory_of(replay)
    allowed = {}
    for experience in data.stream.experiences:
        (source,) = experience.pools
        for number, members in zip(source.numbers.tolist(), source.members, strict=True):
            rows = source.x[torch.from_numpy(members)]
            allowed |= {tuple(x.tolist()): (experience.index, number) for x in rows}
    for x, home, number in zip(memory.x, memory.home.tolist(), memory.number.tolist(), strict=True):
        assert allowed[tuple(x.tolist())] == (home, number)
    assert memory.x.untyped_storage().nbytes() == memory.x.nbytes
    assert len(memory.x.unique(dim=0)) == len(memory) or policy == "reservoir"  # which sees some more than once


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_examples_come_back_as_they_were(dtype: torch.dtype) -> None:
    x = torch.arange(256).to(dtype)[:, None]
    if dtype != torch.uint8:
        x = x / 7
    some = pool(x, [i % 2 for i in range(256)])
    by_end, by_watching = ExampleMemory(Budget(256), "class_balanced"), ExampleMemory(Budget(256), "reservoir")
    for memory in (by_end, by_watching):
        memory.begin(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    by_end.end(LEARNER, visit(0, some, ways=[0, 1]), runner=RUNNER)
    by_watching.watch(
        LEARNER, stream_batch(as_input(x), [i % 2 for i in range(256)], [0, 1]), at(0, n=256), runner=RUNNER
    )
    for memory in (by_end, by_watching, copy(by_watching)):
        assert memory.x.dtype == dtype
        assert torch.equal(memory.x.sort(0).values, x)
        assert memory.nbytes == 256 * (x[0].nbytes + 8)
        batch = memory.episode(torch.arange(256), CPU)
        assert torch.equal(batch.query_x[:, 0].sort(0).values, as_input(x))


# -- drawing --------------------------------------------------------------------------------------------------------


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
def test_old_examples_are_told_apart_from_all_seen_classes(policy: str, classes: str) -> None:
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
@pytest.mark.parametrize("n_replay", [None, 3, 20])
def test_how_old_and_new_examples_count(policy: str, n_replay: int | None) -> None:
    replay, _ = kept(2, policy=policy, budget=Budget(examples=24), n_replay=n_replay)
    memory = memory_of(replay)
    memory.begin(LEARNER, visit(2, pool(torch.zeros(2, 4), [8, 9]), ways=[*range(12)]), runner=RUNNER)
    batch = stream_batch(torch.randn(8, 4), [8, 9] * 4, [*range(12)])
    losses = torch.rand(8 + (n_replay or 8))
    for weighting, share in (("experience", 2.0), (0.5, 0.5), ("equal", (n_replay or 8) / 8)):
        replay.weighting = weighting  # type: ignore[assignment]
        weight = replay.rehearse(LEARNER, batch, at(2, n=8), runner=RUNNER).weight
        found = (losses * weight).sum() / weight.sum()
        torch.testing.assert_close(found, (losses[:8].mean() + share * losses[8:].mean()) / (1 + share))
    replay.weighting = 0
    assert replay.rehearse(LEARNER, batch, at(2, n=8), runner=RUNNER) is batch


def test_weights_and_numbers_of_units_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="n_replay is 0"):
        Replay(n_replay=0)
    with pytest.raises(ValueError, match=r"weighting is -0.5"):
        Replay(weighting=-0.5)


@every_policy
def test_ranks_share_the_draws_of_one(policy: str) -> None:
    replay, _ = kept(2, policy=policy, budget=Budget(examples=24))
    memory = memory_of(replay)
    for n, world in ((8, 2), (7, 3), (2, 3)):
        for home in (None, 0):
            whole = memory.pick(n, at(2, 5, n=n), home=home)
            for rank in range(world):
                mine = memory.pick(n, at(2, 5, n=n, rank=rank, world=world), home=home)
                assert torch.equal(mine, whole[rank::world])
    batch = stream_batch(torch.zeros(1, 4), [0], [*range(8)])
    share = replace(at(2, n=2), rank=1, world=2)
    assert replay.rehearse(LEARNER, batch, share, runner=RUNNER).query_x.shape[0] == 2
    replay.n_replay = 1  # the other rank has it
    assert replay.rehearse(LEARNER, batch, share, runner=RUNNER) is batch


def test_draws_are_even_and_differ_by_step_home_and_salt() -> None:
    replay, _ = kept(3, budget=Budget(examples=24))
    memory = memory_of(replay)
    draws = [
        memory.pick(8, at(3, step, n=8), home=home, salt=salt)
        for step, home, salt in itertools.product(range(3), (None, 0), (0, 1))
    ]
    assert len({tuple(rows.tolist()) for rows in draws}) == len(draws)
    assert torch.equal(memory.pick(8, at(3, 1, n=8)), memory.pick(8, at(3, 1, n=8)))
    counts = torch.bincount(memory.pick(24000, at(3, n=8)), minlength=24)
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7  # the 99.9 % point of χ²(23)
    for home in memory.homes:
        assert set(memory.home[memory.pick(200, at(3, n=8), home=home)].tolist()) == {home}
    assert memory.homes == [0, 1, 2]


def test_a_reservoirs_past_is_without_the_current_experience() -> None:
    memory = reservoir(LEARNER, 8, 8)
    assert (memory.n_past, memory.homes) == (0, [])
    memory.begin(LEARNER, visit(1, pool(torch.zeros(2, 1), [2, 3]), ways=[0, 1, 2, 3]), runner=RUNNER)
    memory.watch(
        LEARNER, stream_batch(torch.full((200, 1), 99.0), [2, 3] * 100, [0, 1, 2, 3]), at(1, n=200), runner=RUNNER
    )
    assert 1 in memory.home.tolist()
    assert (memory.n_past, memory.homes) == (1, [0] if 0 in memory.home.tolist() else [])
    untold = ExampleMemory(Budget(8), "reservoir")
    untold.begin(LEARNER, visit(0, pool(torch.zeros(2, 1), [0, 1]), ways=[0, 1], has_boundaries=False), runner=RUNNER)
    assert untold.n_past == 0
    watch_numbers(untold, LEARNER, range(4), step=0, seed=0)
    assert untold.n_past == 1


# -- resume ---------------------------------------------------------------------------------------------------------


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
    assert (one.n_watched, one.n_past) == (two.n_watched, two.n_past)
    assert torch.equal(one.ways_now(), two.ways_now())


def test_few_shot_learners_need_whole_classes() -> None:
    for settings in ({"policy": "reservoir"}, {"policy": "herding"}, {"budget": Budget(per_class=5)}):
        with pytest.raises(ValueError, match="keeps whole classes for few-shot tasks"):
            Replay(**settings).attach(make_learner())  # type: ignore[arg-type]
