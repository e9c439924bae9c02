"""A yes or no for each class: by hand, by brute force, and as a classifier's loss."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lifelong.compute.runner import TaskRunner
from lifelong.learners.one_vs_rest import OneVsRest, binary_losses
from strategies import EWC, Replay
from strategies.importance.fisher import fisher_diagonal
from tests.toys import fit, make_classifier, module_of, toy_examples


def test_one_example_by_hand() -> None:
    output, target = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[1.0, 0.25]])
    expected = -math.log(0.75) + math.log(2.0)
    assert OneVsRest().loss(output, target).item() == pytest.approx(expected)
    assert OneVsRest().score(output, torch.tensor([[1.0, 0.0]])).item() == 1
    torch.testing.assert_close(OneVsRest().prediction(output), torch.tensor([[0.6, 0.4]]))


def test_it_is_torchs_own_and_linear_in_its_targets() -> None:
    output, target, other = torch.randn(4, 3).double(), torch.rand(4, 3).double(), torch.rand(4, 3).double()
    expected = F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(-1)
    torch.testing.assert_close(binary_losses(output, target), expected)
    difference = binary_losses(output, other) - binary_losses(output, target)
    torch.testing.assert_close(difference, ((target - other) * output).sum(-1))


@pytest.mark.parametrize("extreme", [-torch.inf, -1e4, 1e4])
def test_absent_ways_and_extreme_outputs_stay_finite(extreme: float) -> None:
    output = torch.tensor([[0.5, extreme]], requires_grad=True)
    loss = OneVsRest().loss(output, torch.tensor([[1.0, 0.0]]))
    (gradient,) = torch.autograd.grad(loss, output)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    if extreme < 0:
        assert loss.item() == pytest.approx(math.log(1 + math.exp(-0.5)))
        assert gradient[0, 1] == 0


def test_samples_follow_each_ways_own_probability() -> None:
    p = torch.tensor([0.1, 0.6, 0.9]).double()
    drawn = OneVsRest().sample(p.logit().expand(20000, 3), torch.rand(20000, 3, dtype=torch.float64))
    torch.testing.assert_close(drawn.mean(0), p, atol=0.02, rtol=0)


def test_score_directions_are_the_fisher_of_the_outputs() -> None:
    output = torch.randn(4, 3, dtype=torch.float64)
    directions = OneVsRest().score_directions(output)
    found = torch.einsum("kqi,kqj->qij", directions, directions)
    p = output.sigmoid()
    torch.testing.assert_close(found, torch.diag_embed(p * (1 - p)) / 4**2)


def test_the_fisher_of_a_classifier_is_over_all_answers() -> None:
    learner = make_classifier(n_outputs=4, loss="sigmoid").double()
    data = toy_examples("class", 1)
    batch = data.draw(data.stream.experiences[0], "train", range(2)).gather(torch.device("cpu")).to(torch.float64)
    params = learner.meta_parameters()
    found = fisher_diagonal(learner, [(batch, torch.rand(2, 1, 4).double())], "exact", TaskRunner())
    expected = {name: torch.zeros_like(p) for name, p in params.items()}
    for x in batch.query_x[:, 0]:
        logits = learner.network(x[None])[0]
        for answer in itertools.product([0.0, 1.0], repeat=4):
            target = torch.tensor(answer).double()
            loss = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
            weight = torch.exp(-loss).detach()
            gradients = torch.autograd.grad(loss, list(params.values()), retain_graph=True)
            for name, gradient in zip(params, gradients, strict=True):
                expected[name] += weight * gradient.square()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
@pytest.mark.parametrize("strategies", [[], [Replay], [EWC]])
def test_a_sigmoid_classifier_learns_every_scenario(scenario: str, strategies: list[Any]) -> None:
    data = toy_examples(scenario, 2, steps_per_experience=60)
    learner = make_classifier(loss="sigmoid")
    adam = partial(torch.optim.Adam, lr=0.03)
    matrix = fit(module_of(learner, [make() for make in strategies], adam), data).matrix()
    assert matrix[0, 0].mean() > 0.7
    batch = data.draw(data.stream.experiences[1], "train", range(5)).gather(torch.device("cpu"))
    losses, outputs = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), batch)
    target = F.one_hot(batch.query_y[:, 0], batch.n_way).float()
    expected = F.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none").sum(-1)
    torch.testing.assert_close(losses, expected)
