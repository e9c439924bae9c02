"""GDumb learns its memory from scratch and nothing else."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier, NearestClassMean
from lifelong.networks import MLP, WithHead
from lifelong.utilities.progress_bar import show_progress
from strategies import GDumb
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from tests.interrupted import fit_twice
from tests.toys import AtEnd, fit, make_classifier, make_learner, module_of, same, toy_data, toy_examples, weights

RUNNER = TaskRunner()

SCENARIOS = ["class", "domain", "task"]


def gdumb(**settings: Any) -> GDumb:
    return GDumb(**({"budget": Budget(examples=24), "n_steps": 5, "batch_size": 8} | settings))


def memory_of(strategy: GDumb) -> ExampleMemory:
    assert isinstance(strategy.examples, ExampleMemory)
    return strategy.examples


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_stream_itself_teaches_nothing(scenario: str) -> None:
    start, seen = weights(make_classifier()), []
    learner, optimizer = make_classifier(), partial(torch.optim.SGD, lr=1.0, weight_decay=0.1)
    strategies = [AtEnd(lambda: seen.append(weights(learner))), gdumb()]
    fit(module_of(learner, strategies, optimizer), toy_examples(scenario, 2))
    assert same(seen[0], start)
    assert not same(seen[1], start)  # what it learnt at the end of the first experience
    results = []
    for steps in (1, 9):
        learner = make_classifier()
        fit(learner, toy_examples(scenario, 2, steps_per_experience=steps), [gdumb()])
        results.append(weights(learner))
    assert same(*results)


def test_each_experience_begins_from_the_first_weights() -> None:
    learner, strategy = make_classifier(), gdumb(n_steps=1, batch_size=48, weight_decay=0.3, rate=0.7)
    fit(learner, toy_examples("class", 2), [strategy])
    memory = memory_of(strategy)
    assert len(memory) == 24
    fresh = make_classifier()
    batch = memory.episode(torch.arange(24), torch.device("cpu"))
    assert batch.n_way == 8
    loss = RUNNER.losses(fresh, fresh.meta_parameters(), batch).mean()  # two whole passes
    gradients = torch.autograd.grad(loss, list(fresh.parameters()))
    for start, found, gradient in zip(fresh.parameters(), learner.parameters(), gradients, strict=True):
        torch.testing.assert_close(found, start - 0.7 * (gradient + 0.3 * start), rtol=1e-4, atol=1e-6)


def test_momentum_clip_and_cosine_are_those_of_the_docstring() -> None:
    settings = {"n_steps": 3, "batch_size": 12, "rate": 0.5, "last_rate": 0.1, "momentum": 0.8, "clip": 0.05}
    learner, strategy = make_classifier(), gdumb(budget=Budget(examples=12), weight_decay=0.0, **settings)
    fit(learner, toy_examples("class", 1), [strategy])
    batch = memory_of(strategy).episode(torch.arange(12), torch.device("cpu"))
    fresh = make_classifier()
    velocity = [torch.zeros_like(p) for p in fresh.parameters()]
    for step in range(3):
        gradients = torch.autograd.grad(
            RUNNER.losses(fresh, fresh.meta_parameters(), batch).mean(), list(fresh.parameters())
        )
        length = torch.cat([g.flatten() for g in gradients]).norm()
        rate = 0.1 + (0.5 - 0.1) * (1 + np.cos(np.pi * step / 3)) / 2
        with torch.no_grad():
            for p, v, g in zip(fresh.parameters(), velocity, gradients, strict=True):
                v.mul_(0.8).add_(g * min(1.0, 0.05 / float(length)))
                p.sub_(rate * v)
    for found, expected in zip(learner.parameters(), fresh.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_memory_is_balanced_and_learnt_in_whole_passes() -> None:
    plans, strategy = [], gdumb(n_steps=9)

    class Look(AtEnd):
        def end(self, learner: Any, visit: Any, *, runner: Any) -> None:
            plans.append(strategy.plan(visit))
            assert plans[-1].shape == (9, 8)

    fit(make_classifier(), toy_examples("class", 3), [strategy, Look(lambda: None)])
    assert set(Counter(memory_of(strategy).rows.label.tolist()).values()) == {2}
    for plan in plans:
        passes = plan.reshape(3, 24)
        assert (np.sort(passes, axis=1) == np.arange(24)).all()
        assert len(np.unique(passes, axis=0)) == 3
    assert not (plans[0] == plans[1]).all()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_learns_old_and_new_alike(scenario: str) -> None:
    strategy = gdumb(budget=Budget(examples=96), n_steps=400, rate=0.02)
    found = fit(make_classifier(), toy_examples(scenario, 3), [strategy]).matrix()[-1].mean()
    assert found > 0.4 + fit(make_classifier(), toy_examples(scenario, 3)).matrix()[-1].mean()


def test_running_statistics_are_those_of_the_memory_alone() -> None:
    def learnt(steps: int) -> dict[str, Tensor]:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        learner = Classifier(WithHead(body, n_features=8, n_outputs=12))
        fit(learner, toy_examples("class", 2, steps_per_experience=steps), [gdumb()])
        return dict(learner.network.named_buffers())

    assert same(learnt(1), learnt(6))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [2, 6])
def test_a_run_that_stops_in_the_middle_goes_on_as_if_it_had_not(tmp_path: Path, step: int) -> None:
    data = partial(toy_examples, "class", 3)
    (one, first), (other, second) = fit_twice(make_classifier, data, lambda: [gdumb()], tmp_path, step)
    assert same(weights(one), weights(other))
    assert (first.matrix()[-1] == second.matrix()[-1]).all()


def test_memory_is_examples_and_the_first_weights() -> None:
    learner, strategy = make_classifier(), gdumb()
    fit(learner, toy_examples("class", 2), [strategy])
    assert strategy.memory_bytes() == 24 * (4 * 4 + 8) + sum(p.nbytes for p in learner.parameters())


def test_what_it_cannot_work_with_is_one_sentence() -> None:
    for name in ("n_steps", "batch_size", "rate", "last_rate", "clip"):
        with pytest.raises(ValueError, match=f"GDumb's {name} is 0: it must be (a whole number, )?above 0"):
            gdumb(**{name: 0})
    with pytest.raises(ValueError, match="its budget is 0"):
        gdumb(budget=Budget(examples=0))
    with pytest.raises(ValueError, match="GDumb is made for streams of the kind class, domain, task"):
        fit(make_learner("ProtoNet"), toy_data(), [gdumb()])
    with pytest.raises(ValueError, match=r"after NearestClassMean has finished .* set --model Classifier"):
        gdumb().attach(NearestClassMean(MLP(n_inputs=4)))
    with pytest.raises(ValueError, match=r"diverged at the rate 1e\+30: lower its rate"):
        fit(make_classifier(), toy_examples("class", 1), [gdumb(rate=1e30, clip=1e9)])


def test_a_bar_is_shown_where_somebody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(show_progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("lifelong.utilities.progress_bar.SECONDS", 0)
    assert list(show_progress(range(3), "counting")) == [0, 1, 2]
    assert "counting" in capsys.readouterr().err
