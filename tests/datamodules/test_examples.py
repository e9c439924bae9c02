"""Streams of labelled examples: which classes compete, and the order in which examples come."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import WithHead
from lifelong.strategy import Chain, Strategy
from strategies import Replay
from strategies.memory.budget import Budget
from tests.datamodules.numbered import CPU, Numbered, examples, steps, true_class
from tests.toys import Toy, fit, make_classifier, module_of, toy_examples


@pytest.mark.parametrize(
    ("scenario", "classes", "ways"),
    [
        ("class", "all", [0, 1, 2, 3, 4, 5]),
        ("class", "seen", [0, 1, 2, 3]),
        ("class", "current", [2, 3]),
        ("task", "seen", [2, 3]),
        ("domain", "seen", [0, 1]),
    ],
)
def test_the_scenario_selects_the_classes_that_compete(scenario: Any, classes: Any, ways: list[int]) -> None:
    (batch, *_) = steps(examples(scenario=scenario, classes=classes, steps_per_experience=3), experience=1)
    assert batch.support_x.shape == (4, 0, 1)
    assert batch.query_x.shape == (4, 1, 1)
    assert batch.classes is not None
    assert batch.classes.tolist() == [ways] * 4
    named = batch.classes.gather(1, batch.query_y)[:, 0]
    expected = true_class(batch) - 2 if scenario == "domain" else true_class(batch)
    assert torch.equal(named, expected)


def test_class_incremental_batches_do_not_tell_the_experience() -> None:
    # Poison: whatever a task-agnostic learner is given is the same for examples of different experiences.
    data = examples(scenario="class", classes="all")
    first, last = steps(data, 0)[0], steps(data, 2)[0]
    assert torch.equal(first.classes, last.classes)  # type: ignore[arg-type]
    assert first.n_way == last.n_way == 6
    told = examples(scenario="task")
    assert not torch.equal(steps(told, 0)[0].classes, steps(told, 2)[0].classes)  # type: ignore[arg-type]


def test_a_pass_deals_out_every_example_once_and_passes_differ() -> None:
    data = examples(passes=2, batch_size=4)
    seen = torch.cat([batch.query_x.flatten() for batch in steps(data, 0)])
    first, second = seen.chunk(2)
    assert len(seen) == 2 * 14  # of 20 examples 2 are for val and 4 for test
    assert torch.equal(first.sort().values, second.sort().values)
    assert len(first.unique()) == 14
    assert not torch.equal(first, second)


def test_two_ranks_together_see_the_examples_of_one() -> None:
    data = examples(steps_per_experience=5)
    whole, *shared = (steps(data, 1, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2)))
    for batch, a, b in zip(whole, *shared, strict=True):
        assert torch.equal(torch.stack([a.query_x, b.query_x], 1).flatten(0, 1), batch.query_x)


def test_evaluation_takes_all_examples_in_the_same_order() -> None:
    one, two = examples(seed=0), examples(seed=1)
    for part in ("val", "test"):
        found = []
        for data in (one, two):
            drawn = data.draw_for_evaluation(part, 2, range(data.n_eval_units(part, 2))).gather(CPU)  # type: ignore[arg-type]
            found.append(drawn.query_x.flatten())
        assert torch.equal(*found)
        assert len(found[0].unique()) == {"val": 2, "test": 4}[part]
        assert set((found[0] % 6).long().tolist()) == {4, 5}


def test_a_class_that_is_not_seen_yet_is_none_of_the_ways() -> None:
    data = examples(scenario="class", classes="seen")
    drawn = data.draw_for_evaluation("test", 2, range(4)).gather(CPU)
    assert drawn.n_way == 2
    assert drawn.query_y.flatten().tolist() == [2] * 4


def test_current_classes_train_and_seen_classes_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples(scenario="class", classes="current")
    monkeypatch.setattr(ExampleDataModule, "current_experience", 1)
    drawn = data.draw_for_evaluation("test", 0, range(4)).gather(CPU)
    assert drawn.classes is not None
    assert drawn.classes.tolist() == [[0, 1, 2, 3]] * 4
    assert torch.equal(drawn.query_y[:, 0], true_class(drawn))


def test_joint_examples_have_the_ways_of_their_domains() -> None:
    data = examples(scenario="task", joint=True, batch_size=42)
    (batch,) = steps(data, 0)
    assert len(batch.query_x.unique()) == 42
    assert batch.classes is not None
    assert torch.equal(batch.classes.gather(1, batch.query_y)[:, 0], true_class(batch))
    assert len(batch.classes.unique(dim=0)) == 3


def test_what_does_not_suit_a_scenario_is_one_sentence() -> None:
    uneven = [SplitClasses(Numbered(), n_domains=3), Numbered()]
    with pytest.raises(ValueError, match="the task scenario needs as many classes in every domain"):
        ExampleDataModule(uneven, scenario="task").load()
    for name in ("batch_size", "n_eval_examples", "passes", "steps_per_experience"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            examples(**{name: 0})
    with pytest.raises(ValueError, match=r"the val part of numbers a, b is empty.*--data.evaluate_on"):
        examples(split=(0, 0.2)).val_dataloader()


def test_the_cumulative_bound_has_all_domains_so_far() -> None:
    plain, data = (examples(scenario="class", classes="all", cumulative=c, passes=3) for c in (False, True))
    assert data.steps_per_experience == plain.steps_per_experience
    for experience in range(3):
        ours, theirs = steps(data, experience), steps(plain, experience)
        assert [len(batch) for batch in ours] == [len(batch) for batch in theirs]
        x = torch.cat([batch.query_x.flatten() for batch in ours])
        assert set((x % 6 // 2).long().tolist()) == set(range(experience + 1))
        assert len(x.unique()) == 14 * (experience + 1)  # none comes again before all have come
    assert data.stream.domains == plain.stream.domains
    told = examples(scenario="task", cumulative=True, steps_per_experience=9)
    batch = steps(told, 2)[0]
    assert batch.classes is not None
    assert torch.equal(batch.classes.gather(1, batch.query_y)[:, 0], true_class(batch))
    assert told.ways(told.stream.experiences[2]).tolist() == [4, 5]


def test_two_upper_bounds_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--data.joint .*--data.cumulative .*set one"):
        examples(joint=True, cumulative=True).load()


class Texts(Source):
    """Ten tokens each; the class is the token that comes most often."""

    def domains(self) -> list[Domain]:
        y = np.arange(40) % 2
        x = torch.randint(2, 9, (40, 10), generator=torch.Generator().manual_seed(0))
        x[:, :6] = torch.from_numpy(y)[:, None]
        return [Domain("texts", x, y, ["a", "b"], holdout="examples")]


def test_tokens_stay_whole_numbers_all_the_way_to_the_network() -> None:
    torch.manual_seed(0)
    network = WithHead(torch.nn.EmbeddingBag(9, 8), n_features=8, n_outputs=2)
    learner = Classifier(network)
    data = ExampleDataModule([Texts()], scenario="domain", batch_size=8, steps_per_experience=40, split=(0.25, 0.25))
    replay = Replay(budget=Budget(examples=4), policy="herding")
    module = module_of(learner, [replay], partial(torch.optim.Adam, lr=0.05))
    assert fit(module, data).matrix()[-1].mean() == 1
    batch = steps(data, 0)[0]
    assert batch.to(torch.float64).query_x.dtype == torch.int64
    params = learner.meta_parameters()
    assert learner.apply_network(params, batch.query_x[:, 0]).dtype == torch.float32
    assert learner.embed(params, batch.query_x[:, 0]).shape == (8, 8)
    tasks = EpisodicDataModule([Texts()], n_way=2, n_shot=1, n_query=1, steps_per_experience=2, n_eval_tasks=4)
    assert np.isfinite(fit(ProtoNet(network), tasks).matrix()).all()


def test_classes_that_are_evaluated_are_those_that_were_taught() -> None:
    source = Toy(2)
    assert {domain.holdout for domain in source.domains()} == {"classes"}
    stream = ExampleDataModule([source], split=(0.25, 0.25)).stream
    for experience, val, test in zip(stream.experiences, stream.val, stream.test, strict=True):
        (train,) = experience.pools
        assert train.numbers.tolist() == val.numbers.tolist() == test.numbers.tolist()
        assert [len(pool) for pool in (train, val, test)] == [72, 36, 36]
        parts = [set(np.concatenate(pool.members).tolist()) for pool in (train, val, test)]
        assert len(set.union(*parts)) == 144
    assert stream.n_classes == 24


class ByTask(Strategy):
    """Routes every task to the parameters as they are, so that examples are run one by one."""

    def route(self, learner: Any, params: Any, support_x: Any, support_y: Any) -> Any:
        return params


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_absent_ways_do_not_count_where_examples_are_routed(loss: Any) -> None:
    learner, data = make_classifier(loss=loss), toy_examples("task", 2)
    learner.prepare(n_classes=12)
    batch = data.draw(data.stream.experiences[0], "train", range(4)).gather(CPU)
    params, runner = learner.meta_parameters(), TaskRunner()
    plain = runner.losses(learner, params, batch)
    routed = Chain([ByTask()]).bind(learner, runner).losses(learner, params, batch.padded(6))
    torch.testing.assert_close(routed, plain)
    gradients = torch.autograd.grad(routed.sum(), list(learner.network.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
