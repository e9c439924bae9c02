"""The classifier sees a batch as one pass, and that is the same as its examples one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lifelong.batch import Episode
from lifelong.examples import ExampleDataModule
from lifelong.learner import Learner
from lifelong.learners import Classifier
from lifelong.networks import MLP
from lifelong.strategy import Strategy
from strategies import EWC, AdapterBank, Replay
from tests.test_examples import Numbered, SplitClasses
from tests.toys import fit


def classifier(n_outputs: int = 6) -> Classifier:
    torch.manual_seed(0)
    return Classifier(MLP(n_inputs=1, hidden=[8], n_outputs=n_outputs)).double()


def batch() -> Episode:
    torch.manual_seed(1)
    ways = torch.tensor([[0, 1], [4, 5], [2, 3]])
    y = torch.tensor([[0], [1], [1]])
    x = torch.randn(3, 1, 1, dtype=torch.float64)
    return Episode(x[:, :0], y[:, :0], x, y, torch.ones(3), 2, ways)


def one_by_one(learner: Learner, examples: Episode) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    params = learner.meta_parameters()
    losses, outputs = Learner.losses_and_outputs(learner, params, examples)
    return losses, outputs, Learner.scores(learner, params, examples)


def test_a_batch_in_one_pass_equals_its_examples_one_by_one() -> None:
    learner, examples = classifier(), batch()
    params = learner.meta_parameters()
    losses, outputs = learner.losses_and_outputs(params, examples)
    expected = one_by_one(learner, examples)
    torch.testing.assert_close((losses, outputs, learner.scores(params, examples).double()), expected)
    torch.testing.assert_close(learner.outputs(params, examples), outputs)


def test_outputs_are_those_of_the_ways() -> None:
    learner, examples = classifier(), batch()
    params = learner.meta_parameters()
    logits = learner.network(examples.query_x[:, 0])
    expected = torch.stack([logits[i, ways] for i, ways in enumerate(examples.classes)])  # type: ignore[arg-type]
    torch.testing.assert_close(learner.outputs(params, examples)[:, 0], expected)
    loss = learner.losses(params, examples).sum()
    (gradient,) = torch.autograd.grad(loss, [learner.network.head.bias])  # type: ignore[union-attr]
    assert (gradient != 0).all()  # every way of some example
    other = Episode(*examples.tasks()[:4], examples.weight, 2, torch.tensor([[0, 1]] * 3))
    (gradient,) = torch.autograd.grad(learner.losses(params, other).sum(), [learner.network.head.bias])  # type: ignore[union-attr]
    assert (gradient[2:] == 0).all()


class Doubles(Strategy):
    """Routes to parameters that are twice as large."""

    def route(self, learner: Any, params: Any, support_x: Any, support_y: Any) -> Any:
        return {name: 2 * p for name, p in params.items()}


def test_a_strategy_that_routes_is_asked_for_every_example() -> None:
    learner, examples = classifier(), batch()
    plain = learner.outputs(learner.meta_parameters(), examples)
    learner.use([Doubles()])
    params = learner.meta_parameters()
    routed = learner.outputs(params, examples)
    learner.use([])
    doubled = {name: 2 * p for name, p in params.items()}
    torch.testing.assert_close(routed, learner.outputs(doubled, examples))
    assert not torch.allclose(routed, plain)


@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
@pytest.mark.parametrize("strategies", [[], [EWC]])
def test_learns_a_stream_with_ragged_domains(scenario: Any, strategies: list[type[Strategy]]) -> None:
    data = ExampleDataModule(
        [SplitClasses(Numbered(), n_domains=3)], scenario=scenario, batch_size=4, passes=2, split=(0.1, 0.2)
    )
    evaluator = fit(classifier().float(), data, [s() for s in strategies])
    assert evaluator.matrix().shape == (3, 3, 2)


@pytest.mark.parametrize("strategy", [Replay, AdapterBank])
def test_a_strategy_that_needs_support_sets_says_so(strategy: type[Strategy]) -> None:
    data = ExampleDataModule([SplitClasses(Numbered(), n_domains=3)], batch_size=4)
    with pytest.raises(ValueError, match=f"{strategy.__name__} works with few-shot tasks, and this stream is one of"):
        fit(classifier().float(), data, [strategy()])


def test_a_class_without_an_output_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="the network has 4 outputs, but the stream has 6 classes"):
        classifier(4).prepare(6)
