"""Real numbers of every precision, as numpy and files have them, with every learner and every strategy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong import learners
from lifelong.data.domain import Domain
from lifelong.networks import MLP
from tests.strategies.test_contract import CASES, LOSSES, MAKERS
from tests.toys import LEARNERS, FewClasses, Toy, fit, make_classifier, make_learner, same, weights

TYPES = [torch.float64, torch.float16, torch.bfloat16]
FEW: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 2, "tasks_per_batch": 2, "steps_per_experience": 2}
FEW |= {"n_eval_tasks": 2, "split": (3, 3)}
ONE_KIND = dict(CASES)
"""For each strategy one kind of stream that it is made for."""
EXAMPLES: dict[str, Any] = {"batch_size": 8, "steps_per_experience": 2, "split": (0.2, 0.2)}
OF_EXAMPLES: dict[str, dict[str, Any]] = {
    "Classifier": {},
    "NearestClassMean": {},
    "RanPAC": {"n_projections": 9},
    "StreamingLDA": {},
    "StreamingRidge": {},
}


class Typed(Toy):
    """The toy with inputs, and targets, of another floating type."""

    def __init__(self, dtype: torch.dtype, **settings: Any) -> None:
        super().__init__(**settings)
        self.dtype = dtype

    def domains(self) -> list[Domain]:
        return [typed(domain, self.dtype) for domain in super().domains()]


class TypedFewClasses(FewClasses):
    def __init__(self, dtype: torch.dtype, **settings: Any) -> None:
        super().__init__(**settings)
        self.dtype = dtype

    def domains(self) -> list[Domain]:
        return [typed(domain, self.dtype) for domain in super().domains()]


def typed(domain: Domain, dtype: torch.dtype) -> Domain:
    targets = None if domain.targets is None else domain.targets.to(dtype)
    return replace(domain, x=domain.x.to(dtype), targets=targets)


def tasks(dtype: torch.dtype, **settings: Any) -> EpisodicDataModule:
    return EpisodicDataModule([Typed(dtype, **settings)], **FEW)


def examples(dtype: torch.dtype, scenario: Any = "class") -> ExampleDataModule:
    return ExampleDataModule([TypedFewClasses(dtype)], scenario=scenario, **EXAMPLES)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_of_tasks_takes_double_precision(name: str) -> None:
    learner, single = make_learner(name), make_learner(name)
    evaluator = fit(learner, tasks(torch.float64))
    assert evaluator.matrix().shape[:2] == (2, 2)
    fit(single, tasks(torch.float32))
    assert same(weights(learner), weights(single))
    assert all(p.dtype == torch.float32 for p in learner.parameters())


@pytest.mark.filterwarnings("ignore:.*returned `None`", "ignore:.*in eval mode")
@pytest.mark.parametrize("name", OF_EXAMPLES)
def test_every_learner_of_examples_takes_double_precision(name: str) -> None:
    learner = getattr(learners, name)(MLP(n_inputs=4, hidden=[8], n_outputs=8), **OF_EXAMPLES[name])
    assert fit(learner, examples(torch.float64)).matrix().shape[:2] == (2, 2)


def learn(name: str, kind: str, dtype: torch.dtype, **trainer: Any) -> None:
    """Learn a stream of two domains with a strategy."""
    is_few_shot = kind == "few-shot"
    learner = make_learner("ProtoNet") if is_few_shot else make_classifier(loss=LOSSES.get(name, "softmax"))
    data = tasks(dtype) if is_few_shot else examples(dtype, kind)
    assert fit(learner, data, [MAKERS[name]()], **trainer).matrix().shape[:2] == (2, 2)


@pytest.mark.parametrize(("name", "kind"), [*ONE_KIND.items(), ("Replay", "few-shot"), ("LwF", "few-shot")])
def test_every_strategy_takes_every_floating_type(name: str, kind: str) -> None:
    for dtype in TYPES:
        learn(name, kind, dtype)


@pytest.mark.parametrize(("name", "kind"), ONE_KIND.items())
def test_a_trainer_in_double_precision_takes_every_strategy(name: str, kind: str) -> None:
    learn(name, kind, torch.float32, precision="64-true")


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_regression_takes_every_floating_type(dtype: torch.dtype) -> None:
    learner = make_learner("MAML", kind="regression")
    data = EpisodicDataModule([Typed(dtype, kind="regression")], **(FEW | {"n_way": 1}))
    assert fit(learner, data).matrix().shape[:2] == (2, 2)


def test_what_is_drawn_is_in_single_precision() -> None:
    for dtype in (torch.float32, *TYPES):
        data = tasks(dtype, kind="regression")
        data.shape = data.eval_shape = replace(data.shape, n_way=1)
        batch = data.draw_for_training(0, [0, 1]).gather(torch.device("cpu"))
        assert {batch.support_x.dtype, batch.query_x.dtype, batch.query_y.dtype} == {torch.float32}
