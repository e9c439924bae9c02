"""The classifier sees a batch as one pass, and that is the same as its examples one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.strategy import Chain, Strategy
from strategies import EWC, AdapterBank
from tests.datamodules.test_examples import Numbered, SplitClasses
from tests.toys import fit, make_classifier, make_learner, module_of, toy_data, toy_examples, weights


def classifier(n_outputs: int = 6) -> Classifier:
    torch.manual_seed(0)
    return Classifier(MLP(n_inputs=1, hidden=[8], n_outputs=n_outputs)).double()


def numbers(**settings: Any) -> ExampleDataModule:
    return ExampleDataModule([SplitClasses(Numbered(), n_domains=3)], batch_size=4, **settings)


def batch() -> Episode:
    torch.manual_seed(1)
    ways = torch.tensor([[0, 1], [4, 5], [2, 3]])
    y = torch.tensor([[0], [1], [1]])
    x = torch.randn(3, 1, 1, dtype=torch.float64)
    return Episode(x[:, :0], y[:, :0], x, y, torch.ones(3), 2, ways)


def one_by_one(learner: Learner, examples: Episode) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    params = learner.meta_parameters()
    one_by_one = TaskRunner().rerouted(lambda params, support_x, support_y: params)  # a route forbids the one pass
    losses, outputs = one_by_one.losses_and_outputs(learner, params, examples)
    return losses, outputs, one_by_one.scores(learner, params, examples)


def test_a_batch_in_one_pass_equals_its_examples_one_by_one() -> None:
    learner, examples = classifier(), batch()
    params = learner.meta_parameters()
    losses, outputs = TaskRunner().losses_and_outputs(learner, params, examples)
    expected = one_by_one(learner, examples)
    torch.testing.assert_close((losses, outputs, TaskRunner().scores(learner, params, examples).double()), expected)
    torch.testing.assert_close(TaskRunner().outputs(learner, params, examples), outputs)


def test_outputs_are_those_of_the_ways() -> None:
    learner, examples = classifier(), batch()
    params = learner.meta_parameters()
    logits = learner.network(examples.query_x[:, 0])
    expected = torch.stack([logits[i, ways] for i, ways in enumerate(examples.classes)])  # type: ignore[arg-type]
    torch.testing.assert_close(TaskRunner().outputs(learner, params, examples)[:, 0], expected)
    loss = TaskRunner().losses(learner, params, examples).sum()
    (gradient,) = torch.autograd.grad(loss, [learner.network.head.bias])  # type: ignore[union-attr]
    assert (gradient != 0).all()  # every way of some example
    other = Episode(*examples.tasks()[:4], examples.weight, 2, torch.tensor([[0, 1]] * 3))
    (gradient,) = torch.autograd.grad(TaskRunner().losses(learner, params, other).sum(), [learner.network.head.bias])  # type: ignore[union-attr]
    assert (gradient[2:] == 0).all()


class Doubles(Strategy):
    """Routes to parameters that are twice as large."""

    def route(self, learner: Any, params: Any, support_x: Any, support_y: Any) -> Any:
        return {name: 2 * p for name, p in params.items()}


def test_a_strategy_that_routes_is_asked_for_every_example() -> None:
    learner, examples = classifier(), batch()
    plain = TaskRunner().outputs(learner, learner.meta_parameters(), examples)
    params = learner.meta_parameters()
    routed = Chain([Doubles()]).bind(learner, TaskRunner()).outputs(learner, params, examples)
    doubled = {name: 2 * p for name, p in params.items()}
    torch.testing.assert_close(routed, TaskRunner().outputs(learner, doubled, examples))
    assert not torch.allclose(routed, plain)


@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
@pytest.mark.parametrize("strategies", [[], [EWC]])
def test_learns_a_stream_with_ragged_domains(scenario: Any, strategies: list[type[Strategy]]) -> None:
    data = ExampleDataModule(
        [SplitClasses(Numbered(), n_domains=3)], scenario=scenario, batch_size=4, passes=2, split=(0.1, 0.2)
    )
    evaluator = fit(classifier().float(), data, [s() for s in strategies])
    assert evaluator.matrix().shape == (3, 3, 2)


def test_a_router_that_needs_support_sets_says_so() -> None:
    with pytest.raises(ValueError, match=r"AdapterBank.s router support_loss is not made for labelled examples"):
        fit(classifier().float(), numbers(), [AdapterBank(router="support_loss")])


@pytest.mark.parametrize("name", ["ProtoNet", "R2D2", "SimpleShot", "MAML"])
def test_a_learner_of_tasks_says_so(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} learns from few-shot tasks, but this stream is one of labelled"):
        fit(make_learner(name), numbers())


def test_the_classifier_says_that_it_learns_from_examples() -> None:
    with pytest.raises(ValueError, match="Classifier learns from labelled examples, but this stream is one of few"):
        fit(classifier().float(), toy_data())


@pytest.mark.parametrize(("scenario", "needed"), [("class", 6), ("task", 6), ("domain", 2)])
def test_the_network_needs_an_output_for_each_class(scenario: Any, needed: int) -> None:
    fit(classifier(needed).float(), numbers(scenario=scenario))
    short = Classifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, needed - 1)))  # no head to look at
    with pytest.raises(ValueError, match=f"has {needed - 1} outputs, but the stream has {needed} classes"):
        fit(short, numbers(scenario=scenario))


def test_among_all_classes_nothing_tells_it_the_experience(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    for poisoned in (False, True):
        learner, data = make_classifier(), toy_examples("class", classes="all")
        if poisoned:
            nowhere = Position(-7, step=10**9, seed=10**9, rank=5)
            monkeypatch.setattr(type(data), "position", lambda self, *_, nowhere=nowhere: nowhere)
            nameless = tuple(replace(e, name="garbage") for e in data.stream.experiences)
            data._stream = replace(data.stream, experiences=nameless, domains=("garbage",) * 3)
        module = module_of(learner)
        matrix = fit(module, data).matrix()
        params = learner.meta_parameters()
        answers = []
        for experience in data.stream.experiences:
            examples = data.draw(experience, "train", range(8)).gather(torch.device("cpu"))
            assert examples.classes is not None
            assert (examples.classes == torch.arange(12)).all()
            answers.append(TaskRunner().outputs(learner, params, examples))
            measures = [module.validation_step(examples, 0, domain)["score"] for domain in (experience.index, 10**9)]
            assert torch.equal(*measures)
        found.append((weights(learner), torch.stack(answers), torch.from_numpy(matrix)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
