"""Streaming LDA keeps the very covariance of all examples and answers as linear discriminant analysis does."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.learners import NearestClassMean, StreamingLDA
from lifelong.networks import MLP
from strategies import EWC
from tests.interrupted import fit_twice
from tests.toys import FewClasses, fit, same, toy_examples, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*configure_optimizers. returned .None.*"),  # there is nothing to optimize
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training.*"),  # the embedding stands still
]


def learner_of(network: nn.Module | None = None, **settings: Any) -> StreamingLDA:
    torch.manual_seed(1)
    return StreamingLDA(network or MLP(n_inputs=4, hidden=[8], n_outputs=12), **settings)


def bare(n_classes: int = 5, **settings: Any) -> StreamingLDA:
    """A learner whose embedding is its input, in double precision."""
    learner = learner_of(nn.Sequential(nn.Flatten(), nn.Linear(5, 5)).double(), **settings)
    learner.make_room(n_classes, 5)
    return learner


def some_features(n: int = 60) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    mixing = torch.randn(5, 5, dtype=torch.float64)
    numbers = torch.randint(4, (n,))
    return 100 + 3 * numbers[:, None] + torch.randn(n, 5, dtype=torch.float64) @ mixing, numbers


def covariance(features: Tensor, numbers: Tensor) -> Tensor:
    centred = features - torch.stack([features[numbers == y].mean(0) for y in numbers])
    return centred.T @ centred / len(features)


@pytest.mark.parametrize("batch_size", [1, 7, 60])
@pytest.mark.parametrize("order", [0, 1])
def test_the_covariance_does_not_depend_on_batches_and_order(batch_size: int, order: int) -> None:
    features, numbers = some_features()
    learner = bare()
    for piece in torch.randperm(60, generator=torch.Generator().manual_seed(order)).split(batch_size):  # type: ignore
        learner.absorb(features[piece], numbers[piece], TaskRunner())
    torch.testing.assert_close(learner.covariance(), covariance(features, numbers), rtol=1e-10, atol=1e-10)
    for number in range(4):
        torch.testing.assert_close(learner.means[number], features[numbers == number].mean(0), rtol=0, atol=1e-10)


def test_it_is_exact_at_every_moment() -> None:
    features, numbers = some_features(20)
    learner = bare()
    assert (learner.covariance() == 0).all()
    for n in range(1, 21):
        learner.absorb(features[n - 1 : n], numbers[n - 1 : n], TaskRunner())
        torch.testing.assert_close(learner.covariance(), covariance(features[:n], numbers[:n]), rtol=1e-10, atol=1e-10)


def test_one_pass_gives_the_covariance_and_moves_nothing() -> None:
    learner, data = learner_of().double(), ExampleDataModule([FewClasses(3)], batch_size=7, split=(0.2, 0.2))
    before = weights(learner)
    fit(learner, data)
    assert same(before, weights(learner))
    pairs = [
        (learner.network.features(pool.x[torch.from_numpy(m)].double()), int(number))  # type: ignore[operator]
        for experience in data.stream.experiences
        for pool in experience.pools
        for number, m in zip(pool.numbers, pool.members, strict=True)
    ]
    features = torch.cat([z for z, _ in pairs]).detach()
    numbers = torch.cat([torch.full((len(z),), number) for z, number in pairs])
    torch.testing.assert_close(learner.covariance(), covariance(features, numbers), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [1e-4, 0.3, 1.0])
def test_it_answers_as_linear_discriminant_analysis_does(shrinkage: float) -> None:
    features, numbers = some_features()
    learner = bare(shrinkage=shrinkage)
    learner.absorb(features, numbers, TaskRunner())
    sigma = (1 - shrinkage) * covariance(features, numbers) + shrinkage * torch.eye(5, dtype=torch.float64)
    precision = torch.linalg.inv(sigma)
    found = learner.compare(features)
    # Log-densities of Gaussians with one covariance differ from it by what is the same for all classes.
    off = features[:, None] - learner.means[None, :4]
    density = -0.5 * torch.einsum("ncd,de,nce->nc", off, precision, off)
    expected = density - density.mean(1, keepdim=True)
    torch.testing.assert_close(found[:, :4] - found[:, :4].mean(1, keepdim=True), expected, rtol=1e-6, atol=1e-6)
    assert (found[:, 4] == torch.finfo(torch.float64).min).all()


def test_two_classes_by_hand() -> None:
    learner = learner_of(nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), shrinkage=0.5)
    learner.make_room(n_classes=2, n_features=2)
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])
    learner.absorb(x, torch.tensor([0, 0, 1, 1]), TaskRunner())
    # Sigma is diag(1, 0), so its shrunk inverse diag(1, 2); the means are (1, 0) and (1, 4).
    assert learner.covariance().tolist() == [[1.0, 0.0], [0.0, 0.0]]
    found = learner.compare(torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[3 - 0.5, 3 + 8 - 0.5 * (1 + 32)]]))


class Slanted(Source):
    """Classes that differ along one direction and vary a hundred times as much along another."""

    def domains(self) -> list[Domain]:
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(4), 60)
        along, across = rng.normal(size=(240, 1)) * 10, rng.normal(size=(240, 1)) * 0.1 + y[:, None]
        x = torch.from_numpy(np.hstack([along + across, along - across])).float()
        return [Domain("slanted", x, y, list("abcd"), holdout="examples")]


def test_it_sees_what_distances_do_not() -> None:
    def score(make: Any) -> float:
        network = nn.Linear(2, 2)
        nn.init.eye_(network.weight)
        data = ExampleDataModule([Slanted()], batch_size=8, split=(0.2, 0.2))
        return float(fit(make(network), data).matrix()[-1].mean())

    assert score(StreamingLDA) > 0.95
    assert score(NearestClassMean) < 0.6


def test_the_rule_follows_new_examples_and_checkpoints() -> None:
    features, numbers = some_features()
    learner, other = bare(), bare()
    learner.absorb(features[:30], numbers[:30], TaskRunner())
    before = learner.compare(features)
    assert torch.equal(before, learner.compare(features))
    other.absorb(features[30:], numbers[30:], TaskRunner())
    assert not torch.allclose(before, other.compare(features))
    other.load_state_dict(learner.state_dict())
    torch.testing.assert_close(other.compare(features), before, rtol=0, atol=0)
    learner.absorb(features[30:], numbers[30:], TaskRunner())
    assert not torch.allclose(before, learner.compare(features))


@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
def test_it_learns_every_scenario_and_refuses_what_it_must(scenario: str) -> None:
    data = partial(toy_examples, scenario, 2, steps_per_experience=12)
    assert fit(learner_of(), data()).matrix()[-1].mean() > 0.8
    with pytest.raises(ValueError, match="StreamingLDA trains nothing here, so EWC has nothing to protect"):
        fit(learner_of(), data(), [EWC()])


def test_streams_without_boundaries_are_learnt_as_others() -> None:
    data = toy_examples("class", 3, classes="all", fade=0.5, steps_per_experience=12)
    assert fit(learner_of(), data).matrix()[-1].mean() > 0.8


@pytest.mark.parametrize("shrinkage", [0.0, -1.0, 1.5])
def test_a_shrinkage_out_of_range_is_refused(shrinkage: float) -> None:
    with pytest.raises(ValueError, match=f"--model.shrinkage is {shrinkage}: it must be above 0"):
        learner_of(shrinkage=shrinkage)


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_stops_in_the_middle_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    data = partial(toy_examples, "class", 3)
    (one, first), (other, second) = fit_twice(learner_of, data, lambda: [], tmp_path, step=6)
    assert same(one.state_dict(), other.state_dict())
    assert (first.matrix()[-1] == second.matrix()[-1]).all()
