"""Herding chooses examples whose mean is near that of their class."""

from __future__ import annotations

import torch
from torch import nn

from lifelong.learners import Classifier
from strategies import Replay
from strategies.memory.budget import Budget
from strategies.memory.herding import herd
from strategies.memory.rehearsal import make_example_memory
from tests.strategies.memories import (
    RUNNER,
    memory_of,
    pool,
    visit,
)
from tests.toys import AtEnd, fit, make_classifier, same, toy_examples


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
        found = memory.rows.x[memory.rows.label == number]
        torch.testing.assert_close(found, x, rtol=0, atol=0)


def test_herding_leaves_the_network_as_it_is() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))
    learner, found = Classifier(network), []
    learner.train()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    some = pool(torch.randn(12, 4), [0, 1] * 6)
    for _ in range(2):
        memory = make_example_memory(Budget(4), "herding")
        memory.begin(learner, visit(0, some, ways=[0, 1]), runner=RUNNER)
        memory.end(learner, visit(0, some, ways=[0, 1]), runner=RUNNER)
        found.append(memory.rows.x)
    assert torch.equal(*found)
    assert same(before, dict(learner.state_dict()))
    assert network.training
    assert network[2].training
