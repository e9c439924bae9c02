"""DER and DER++: what is kept beside an example, and the two terms, by formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Step
from strategies import DER, Replay
from strategies.der import by_class, distances
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from tests.interrupted import fit_twice
from tests.strategies.memories import at, stream_batch
from tests.toys import fit, make_classifier, make_learner, same, toy_data, toy_examples, weights

RUNNER = TaskRunner()


def memory_of(strategy: DER) -> ExampleMemory:
    assert isinstance(strategy.memory, ExampleMemory)
    return strategy.memory


def step_of(learner: Learner, batch: Episode, position: Position) -> Step:
    params = learner.meta_parameters()
    losses, outputs = RUNNER.losses_and_outputs(learner, params, batch)
    return Step(batch, params, outputs, losses, position)


def learnt(kind: str = "class", n: int = 2, **settings: Any) -> tuple[DER, Classifier, Episode]:
    """A strategy after ``n`` experiences, its learner, and a batch of the last one."""
    strategy, learner, data = (
        DER(**({"budget": Budget(examples=24)} | settings)),
        make_classifier(),
        toy_examples(kind, n),
    )
    fit(learner, data, [strategy])
    return strategy, learner, data.draw(data.stream.experiences[-1], "train", range(8)).gather(learner.device)


def test_outputs_by_class_worked_out_by_hand() -> None:
    found = by_class(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0, 3], [2, -1]]), 4)
    nan = torch.nan
    expected = torch.tensor([[1.0, nan, nan, 2.0], [nan, nan, 3.0, nan]])
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=0, atol=0)


def test_distances_worked_out_by_hand() -> None:
    nan = torch.nan
    batch = stream_batch(torch.zeros(3, 1), [0, 1, 0], [0, 1, 2])
    kept = torch.tensor([[1.0, 2.0, nan], [0.0, 0.0, 3.0], [nan, nan, nan]])
    outputs = torch.tensor([[2.0, 4.0, 9.0], [0.0, 3.0, 3.0], [1.0, 1.0, 1.0]], requires_grad=True)
    found = distances(outputs, batch, kept)
    assert found.tolist() == [(1 + 4) / 2, 9 / 3, 0]
    (gradient,) = torch.autograd.grad(found.sum(), outputs)
    assert gradient.tolist() == [[1, 2, 0], [0, 2, 0], [0, 0, 0]]


def test_ways_that_an_example_does_not_have_are_left_out() -> None:
    batch = stream_batch(torch.zeros(1, 1), [2], [2, -1])
    outputs = torch.tensor([[1.0, -torch.inf]], requires_grad=True)
    found = distances(outputs, batch, torch.tensor([[7.0, 7.0, 3.0]]))
    assert found.tolist() == [4]
    assert torch.autograd.grad(found.sum(), outputs)[0].tolist() == [[-4, 0]]


@pytest.mark.parametrize("kind", ["class", "domain", "task"])
def test_stored_outputs_are_those_of_the_step_that_stored_them(kind: str) -> None:
    outputs_then: dict[tuple[float, ...], list[Tensor]] = {}

    class Spied(DER):
        def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
            assert step.batch.classes is not None
            for x, row, classes in zip(step.batch.query_x[:, 0], step.outputs[:, 0], step.batch.classes, strict=True):
                full = torch.full((12 if kind != "domain" else 4,), torch.nan)
                full[classes] = row.detach()
                outputs_then.setdefault(tuple(x.tolist()), []).append(full)
            return super().penalty(learner, step, runner=runner)

    strategy = Spied(budget=Budget(examples=24))
    fit(make_classifier(), toy_examples(kind, 3), [strategy])
    memory = memory_of(strategy)
    assert len(memory) == 24
    assert set(memory.rows.experience.tolist()) == {0, 1, 2}
    rows = memory.rows
    for x, experience, logits in zip(rows.x, rows.experience.tolist(), rows.extra["logits"], strict=True):
        choices = outputs_then[tuple(x.tolist())]
        assert any(torch.equal(logits.nan_to_num(99), then.nan_to_num(99)) for then in choices)
        n_ways = {"class": 4 * (experience + 1), "domain": 4, "task": 4}[kind]
        assert (~logits.isnan()).sum() == n_ways


def test_nothing_is_asked_for_where_nothing_has_moved() -> None:
    strategy, learner = DER(budget=Budget(examples=50)), make_classifier()
    learner.prepare(12)
    fit(learner, toy_examples("class", 1, steps_per_experience=1), [strategy])
    batch, before = stream_batch(torch.randn(8, 4), [0, 1, 2, 3] * 2, [*range(4)]), make_classifier()
    # One step has gone by, and the outputs that were kept are those before it.
    value = strategy._dark(before, step_of(before, batch, at(1, n=8)), RUNNER)
    assert value is not None
    assert value.item() < 1e-12
    moved = strategy._dark(learner, step_of(learner, batch, at(1, n=8)), RUNNER)
    assert moved is not None
    assert moved > 1e-6


@pytest.mark.parametrize("kind", ["class", "domain", "task"])
@pytest.mark.parametrize("n_replay", [None, 5])
def test_the_terms_by_formula(kind: str, n_replay: int | None) -> None:
    strategy, learner, batch = learnt(kind, alpha=0.3, beta=0.7, n_replay=n_replay)
    memory, position = memory_of(strategy), at(2, step=1, n=8)
    rows, others = (memory.pick(n_replay or 8, position, salt=salt) for salt in (0, 1))
    assert not torch.equal(rows, others)
    every = learner.apply_network(learner.meta_parameters(), memory.rows.x)
    kept = memory.rows.extra["logits"]
    gaps = (every[:, : kept.shape[1]] - kept).square()  # the network has more outputs than there are classes
    dark = torch.stack([gaps[row][~kept[row].isnan()].mean() for row in rows])
    ways = memory.competing()[memory.rows.experience[others].long()]
    logits = every[others].gather(1, ways)
    labels = (ways == memory.rows.label[others, None]).int().argmax(1)
    expected = 0.3 * dark.mean() + 0.7 * F.cross_entropy(logits, labels)
    found = strategy.penalty(learner, step_of(learner, batch, position), runner=RUNNER)
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_ranks_average_to_the_penalty_of_one() -> None:
    strategy, learner, batch = learnt(alpha=0.3, beta=0.7, n_replay=5)
    values = []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        step = step_of(learner, batch, at(2, n=8, rank=rank, world=world))
        terms = [strategy._dark(learner, step, RUNNER), strategy._labelled(learner, step, RUNNER)]
        values.append(torch.stack([term for term in terms if term is not None]))
    torch.testing.assert_close(values[0], (values[1] + values[2]) / 2)


def test_the_budget_in_bytes_counts_the_outputs() -> None:
    strategy, _, _ = learnt(budget=Budget(bytes=600))
    assert len(memory_of(strategy)) == 600 // (4 * 4 + 8 + 8 * 4)
    assert strategy.memory_bytes() == len(memory_of(strategy)) * 56


@pytest.mark.parametrize("order", [1, -1])
def test_the_reservoir_sees_no_rehearsed_examples(order: int) -> None:
    strategy, replay = DER(budget=Budget(examples=400)), Replay(budget=Budget(examples=24))
    fit(make_classifier(), toy_examples("class", 3), [strategy, replay][::order])
    assert memory_of(strategy).n_seen == len(memory_of(strategy)) == 3 * 4 * 8


def test_a_step_does_not_meet_its_own_examples() -> None:
    values = []

    class Spied(DER):
        def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
            value = super().penalty(learner, step, runner=runner)
            values.append(None if value is None else value.item())
            return value

    fit(make_classifier(), toy_examples("class", 1), [Spied(budget=Budget(examples=50))])
    assert values[0] is None  # the memory was empty
    assert all(value is not None and value > 0 for value in values[1:])


def test_without_strength_it_is_plain_fine_tuning() -> None:
    found = []
    for strategies in ([], [DER(alpha=0, beta=0, budget=Budget(examples=24))], [DER(budget=Budget(examples=0))]):
        learner = make_classifier()
        fit(learner, toy_examples("class", 3), strategies)
        found.append(weights(learner))
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    strategies: list[DER] = []

    def make() -> list[DER]:
        strategies.append(DER(alpha=0.5, beta=0.5, budget=Budget(examples=24)))
        return strategies[-1:]

    (whole, _), (resumed, _) = fit_twice(make_classifier, lambda: toy_examples("class", 3), make, tmp_path, step=6)
    assert same(weights(whole), weights(resumed))
    one, two = (memory_of(strategy).rows.extra["logits"].nan_to_num(99) for strategy in strategies)
    assert torch.equal(one, two)


def test_it_works_without_boundaries() -> None:
    learner, strategy = make_classifier(), DER(budget=Budget(examples=24))
    fit(learner, toy_examples("class", 3, classes="all", fade=0.5), [strategy])
    assert memory_of(strategy).n_seen == 3 * 4 * 8
    assert len(memory_of(strategy)) == 24


def test_few_shot_tasks_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="DER is made for streams of the kind class, domain, task"):
        fit(make_learner(), toy_data(2), [DER()])


def test_settings_out_of_range_are_refused() -> None:
    for name in ("alpha", "beta"):
        with pytest.raises(ValueError, match=f"DER's {name} is -1"):
            DER(**{name: -1})
    with pytest.raises(ValueError, match="n_replay is 0"):
        DER(n_replay=0)
