from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool
from lifelong.data.position import Position, Visit
from lifelong.data.stream import Experience
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Step
from strategies import MAS
from tests.toys import LEARNERS, fit, make_classifier, make_learner, random_episode, toy_data, toy_examples

RUNNER = TaskRunner()


def visit_with(batch: Episode, number: int = 0, ways: np.ndarray | None = None) -> Visit:
    """An experience that is one batch."""
    pool = Pool(torch.zeros(6, 2), [np.arange(3), np.arange(3, 6)], ["a", "b"])

    def batches(purpose: str, n_tasks: int) -> Iterator[tuple[Sequence[int], Episode]]:
        assert n_tasks == len(batch)
        yield range(n_tasks), batch

    return Visit(Experience(number, "one", (pool,)), 2, 0, batches, ways)


def examples(x: list[list[float]], ways: list[list[int]]) -> Episode:
    inputs, labels = torch.tensor(x)[:, None], torch.zeros(len(x), 1, dtype=torch.long)
    return Episode(inputs[:, :0], labels[:, :0], inputs, labels, torch.ones(len(x)), len(ways[0]), torch.tensor(ways))


def linear(weight: list[list[float]]) -> Classifier:
    learner = Classifier(nn.Linear(2, len(weight)))
    with torch.no_grad():
        learner.get_parameter("network.weight").copy_(torch.tensor(weight))
        learner.get_parameter("network.bias").zero_()
    return learner


def importance_of(learner: Learner, batch: Episode) -> dict[str, Tensor]:
    mas = MAS(n_tasks=len(batch))
    mas.end(learner, visit_with(batch), runner=RUNNER)
    return mas.quadratic.importance


def test_importance_by_hand() -> None:
    # f(1, 2) = (3, -1) and f(-1, 0) = (-1, 0): the gradients of their squared norms are 2 f xᵀ and 2 f.
    found = importance_of(linear([[1.0, 1.0], [0.0, -0.5]]), examples([[1.0, 2.0], [-1.0, 0.0]], [[0, 1], [0, 1]]))
    weight = torch.tensor([[6 + 2, 12 + 0], [2 + 0, 4 + 0]]) / 2
    torch.testing.assert_close(found["network.weight"], weight)
    torch.testing.assert_close(found["network.bias"], torch.tensor([6.0 + 2, 2 + 0]) / 2)


def test_outputs_that_are_no_ways_do_not_count() -> None:
    learner = linear([[1.0, 1.0], [0.0, -0.5], [9.0, 9.0]])
    two = importance_of(learner, examples([[1.0, 2.0], [-1.0, 0.0]], [[0, 1], [0, 1]]))
    padded = importance_of(learner, examples([[1.0, 2.0], [-1.0, 0.0]], [[0, 1, -1], [0, 1, -1]]))
    assert torch.equal(two["network.weight"][2], torch.zeros(2))
    torch.testing.assert_close(padded, two)


@pytest.mark.parametrize("name", ["MAML", "ProtoNet", "NoAdaptation"])
def test_importance_goes_through_the_adaptation(name: str) -> None:
    learner, batch = make_learner(name).double().eval(), random_episode(n_tasks=3).to(torch.float64)
    params = learner.meta_parameters()
    trained = {n: p for n, p in params.items() if p.requires_grad}
    expected = {n: torch.zeros_like(p) for n, p in trained.items()}
    for b in range(3):
        outputs = RUNNER.map(
            lambda task: learner.likelihood_outputs(params, task), learner, batch.take(slice(b, b + 1))
        )
        norm = outputs[0].square().sum(-1).mean()
        for n, g in zip(trained, torch.autograd.grad(norm, list(trained.values())), strict=True):
            expected[n] += g.abs() / 3
    torch.testing.assert_close(importance_of(learner, batch), expected)


@pytest.mark.parametrize("name", ["MAML", "Classifier"])
def test_labels_of_queries_play_no_part(name: str) -> None:
    learner = make_classifier() if name == "Classifier" else make_learner(name)
    batch = random_episode(n_tasks=3)
    if name == "Classifier":
        data = toy_examples("class", 1)
        batch = data.draw(data.stream.experiences[0], "fisher", range(6)).gather(torch.device("cpu"))
    other = replace(batch, query_y=(batch.query_y + 1) % batch.n_way)
    torch.testing.assert_close(importance_of(learner, other), importance_of(learner, batch), rtol=0, atol=0)


def test_importance_adds_up_around_the_newest_parameters() -> None:
    learner, batch = linear([[1.0, 1.0], [0.0, -0.5]]), examples([[1.0, 2.0], [-1.0, 0.0]], [[0, 1], [0, 1]])
    mas, step = MAS(strength=3.0, n_tasks=2), Step(batch, learner.meta_parameters(), None, torch.zeros(2), Position(1))
    assert mas.penalty(learner, step, runner=RUNNER) is None
    first = importance_of(learner, batch)
    mas.end(learner, visit_with(batch), runner=RUNNER)
    with torch.no_grad():
        learner.get_parameter("network.weight").add_(1.0)
    second = importance_of(learner, batch)
    mas.end(learner, visit_with(batch, 1), runner=RUNNER)
    total = {n: first[n] + second[n] for n in first}
    torch.testing.assert_close(mas.quadratic.importance, total)
    theta = {n: p.detach() + 0.5 for n, p in learner.meta_parameters().items()}
    value = mas.penalty(learner, replace(step, params=theta), runner=RUNNER)
    torch.testing.assert_close(value, 3.0 * 0.25 * torch.stack([t.sum() for t in total.values()]).sum())


def test_all_examples_are_taken_where_no_number_is_given() -> None:
    learner, mas = make_classifier(), MAS(n_tasks=None)
    data = toy_examples("domain", 2)
    fit(learner, data, [mas])
    learner, expected = make_classifier(), MAS(n_tasks=len(data.stream.experiences[0].pools[0]))
    fit(learner, toy_examples("domain", 2), [expected])
    torch.testing.assert_close(mas.quadratic.importance, expected.quadratic.importance, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"MAS's n_tasks is not set.*without end.*such as 100"):
        fit(make_learner(), toy_data(1), [MAS(n_tasks=None)])


def test_each_rank_brings_its_share() -> None:
    learner = linear([[1.0, 1.0], [0.0, -0.5]])
    batch = examples([[1.0, 2.0], [-1.0, 0.0]], [[0, 1], [0, 1]])
    whole, share = importance_of(learner, batch), MAS(n_tasks=2)

    def mine(purpose: str, n_tasks: int) -> Iterator[tuple[Sequence[int], Episode]]:
        yield [0], batch.take(slice(0, 1))

    other = importance_of(learner, batch.take(slice(1, 2)))
    gathered = iter(other.values())
    runner = TaskRunner()
    object.__setattr__(runner, "sum", lambda t: t + next(gathered))  # as if the other rank had the other example
    visit = replace(visit_with(batch), batches=mine)
    share.end(learner, visit, runner=runner)
    torch.testing.assert_close(share.quadratic.importance, whole)


@pytest.mark.parametrize("name", LEARNERS)
def test_works_with_every_few_shot_learner(name: str) -> None:
    mas = MAS(strength=10.0, n_tasks=6)
    fit(make_learner(name), toy_data(2), [mas])
    assert all(torch.isfinite(i).all() for i in mas.quadratic.importance.values())
    assert sum(float(i.sum()) for i in mas.quadratic.importance.values()) > 0


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="strength is -1"):
        MAS(strength=-1)
    with pytest.raises(ValueError, match=r"n_tasks is 0.*at least 1"):
        MAS(n_tasks=0)
