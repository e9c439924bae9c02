"""ER-ACE: which classes new and rehearsed examples are told apart from, and how they count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners.base import Learner
from strategies import ERACE, Replay
from strategies.er_ace import among_present
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from tests.strategies.memories import at, pool, stream_batch, visit
from tests.toys import fit, make_classifier, same, toy_examples, weights

RUNNER = TaskRunner()

SEEN = [*range(8)]


def learnt(**settings: Any) -> tuple[ERACE, Learner]:
    """After two experiences, of classes 0 … 3 and 4 … 7; the second has not ended."""
    strategy, learner = ERACE(**({"budget": Budget(examples=24)} | settings)), make_classifier()
    fit(learner, toy_examples("class", 1), [strategy])
    strategy.begin(learner, visit(1, pool(torch.zeros(4, 4), [4, 5, 6, 7]), ways=SEEN), runner=RUNNER)
    return strategy, learner


def test_new_examples_compete_among_the_classes_of_their_batch() -> None:
    strategy, learner = learnt()
    batch = stream_batch(torch.randn(4, 4), [5, 7, 5, 5], SEEN)
    joined = strategy.rehearse(learner, batch, at(1, n=4), runner=RUNNER)
    assert joined.classes is not None
    assert joined.classes[:4].tolist() == [[-1, -1, -1, -1, -1, 5, -1, 7]] * 4
    assert joined.classes[4:].tolist() == [SEEN] * 4
    assert torch.equal(joined.query_y[:4], batch.query_y)
    assert batch.classes is not None
    assert batch.classes.tolist() == [SEEN] * 4  # what came in is as it was


def test_the_loss_by_formula() -> None:
    strategy, learner = learnt(weighting=0.5, n_replay=6)
    batch = stream_batch(torch.randn(4, 4), [5, 7, 5, 5], SEEN)
    joined = strategy.rehearse(learner, batch, at(1, n=4), runner=RUNNER)
    found = RUNNER.mean(RUNNER.losses(learner, learner.meta_parameters(), joined), joined.weight)
    new = learner.apply_network(learner.meta_parameters(), batch.query_x[:, 0])[:, [5, 7]]
    old = learner.apply_network(learner.meta_parameters(), joined.query_x[4:, 0])[:, :8]
    current = F.cross_entropy(new, torch.tensor([0, 1, 0, 0]))
    rehearsed = F.cross_entropy(old, joined.query_y[4:, 0])
    torch.testing.assert_close(found, (current + 0.5 * rehearsed) / 1.5)


def test_new_examples_do_not_push_absent_classes() -> None:
    strategy, learner = learnt()
    joined = strategy.rehearse(learner, stream_batch(torch.randn(4, 4), [5, 7, 5, 5], SEEN), at(1, n=4), runner=RUNNER)
    losses = RUNNER.losses(learner, learner.meta_parameters(), joined)
    head = list(learner.network.parameters())[-1]
    (new,) = torch.autograd.grad(losses[:4].sum(), head, retain_graph=True)
    (old,) = torch.autograd.grad(losses[4:].sum(), head)
    assert new.nonzero().flatten().tolist() == [5, 7]
    assert old.nonzero().flatten().tolist() == SEEN


def test_a_batch_of_one_class_teaches_nothing_and_breaks_nothing() -> None:
    strategy, learner = learnt()
    joined = strategy.rehearse(learner, stream_batch(torch.randn(3, 4), [5, 5, 5], SEEN), at(1, n=3), runner=RUNNER)
    losses = RUNNER.losses(learner, learner.meta_parameters(), joined)
    assert losses[:3].tolist() == [0, 0, 0]
    gradients = torch.autograd.grad(losses[:3].sum(), list(learner.network.parameters()))
    assert all(g.count_nonzero() == 0 for g in gradients)


def test_what_other_strategies_rehearse_is_left_alone() -> None:
    batch = stream_batch(torch.randn(4, 4), [5, 7, 0, 1], SEEN)
    masked = among_present(batch, 2, RUNNER)
    assert masked.classes is not None
    assert masked.classes.tolist() == [[-1] * 5 + [5, -1, 7]] * 2 + [SEEN] * 2


def test_the_classes_of_all_ranks_are_present() -> None:
    class Two:
        """A runner whose other rank has an example of class 6."""

        def gather(self, rows: Tensor) -> Tensor:
            return torch.cat([rows, torch.tensor([[6]])])

    masked = among_present(stream_batch(torch.randn(2, 4), [5, 7], SEEN), 2, Two())  # type: ignore[arg-type]
    assert masked.classes is not None
    assert masked.classes.tolist() == [[-1] * 5 + [5, 6, 7]] * 2


def test_the_streams_own_examples_are_stored_with_their_class() -> None:
    strategy = ERACE(budget=Budget(examples=400))
    fit(make_classifier(), toy_examples("class", 3), [strategy, Replay(budget=Budget(examples=24))])
    memory = strategy.memory
    assert isinstance(memory, ExampleMemory)
    assert memory.n_seen == len(memory) == 3 * 4 * 8
    assert torch.equal(memory.rows.label // 4, memory.rows.experience)


@pytest.mark.parametrize("policy", ["reservoir", "class_balanced"])
def test_all_classes_of_a_stream_at_once_are_seen_ones_too(policy: Any) -> None:
    seen: list[Episode] = []

    class Spied(ERACE):
        def rehearse(self, learner: Learner, batch: Episode, position: Position, *, runner: TaskRunner) -> Episode:
            seen.append(super().rehearse(learner, batch, position, runner=runner))
            return seen[-1]

    fit(make_classifier(), toy_examples("class", 2, classes="all"), [Spied(budget=Budget(examples=24), policy=policy)])
    assert [len(batch) for batch in seen] == [8] * 4 + [16] * 4
    for batch in seen[4:]:
        assert batch.classes is not None
        own, old = batch.classes[:8], batch.classes[8:]
        labels = set(own.gather(1, batch.query_y[:8]).flatten().tolist())
        assert {number for number in own.flatten().tolist() if number >= 0} == labels <= {4, 5, 6, 7}
        assert (old >= 0).all()


def test_without_a_memory_it_is_plain_fine_tuning() -> None:
    found = []
    for strategies in ([], [ERACE(budget=Budget(examples=0))]):
        learner = make_classifier()
        fit(learner, toy_examples("class", 3), strategies)
        found.append(weights(learner))
    assert same(*found)


def test_it_works_without_boundaries() -> None:
    learner, plain = make_classifier(), make_classifier()
    fit(learner, toy_examples("class", 3, classes="all", fade=0.5), [ERACE(budget=Budget(examples=24))])
    fit(plain, toy_examples("class", 3, classes="all", fade=0.5))
    assert not same(weights(learner), weights(plain))
    with pytest.raises(ValueError, match="ERACE needs the boundaries"):
        fit(make_classifier(), toy_examples("class", 3, classes="all", fade=0.5), [ERACE(weighting="experience")])


@pytest.mark.parametrize("kind", ["domain", "task"])
def test_other_scenarios_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="ERACE is made for streams of the kind class"):
        fit(make_classifier(), toy_examples(kind, 2), [ERACE()])


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="ERACE's n_replay is 0"):
        ERACE(n_replay=0)
    with pytest.raises(ValueError, match="ERACE's weighting is -1"):
        ERACE(weighting=-1)
