"""iCaRL trains the loss that it says and answers with the nearest mean of exemplars."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.networks import WithHead
from lifelong.strategy import Step
from strategies import ICaRL
from strategies.memory.budget import Budget
from strategies.memory.example_memory import ExampleMemory
from strategies.memory.herding import herd
from tests.interrupted import fit_twice
from tests.toys import AtEnd, fit, make_classifier, make_learner, module_of, same, toy_data, toy_examples, weights

RUNNER = TaskRunner()

classifier = partial(make_classifier, loss="sigmoid")


def learnt(n: int = 2, **settings: Any) -> tuple[Classifier, ICaRL]:
    learner, icarl = classifier(), ICaRL(**({"budget": Budget(per_class=3)} | settings))
    fit(learner, toy_examples("class", n), [icarl])
    learner.prepare(n_classes=12)  # as many as it has outputs, of a longer stream
    return learner, icarl


def batch_of(experience: int, n: int = 6, **settings: Any) -> Episode:
    data = toy_examples("class", 3, **settings)
    return data.draw(data.stream.experiences[experience], "train", range(n)).gather(torch.device("cpu"))


def step_on(learner: Classifier, batch: Episode) -> Step:
    params = learner.meta_parameters()
    losses, outputs = RUNNER.losses_and_outputs(learner, params, batch)
    return Step(batch, params, outputs, losses, Position(2, n_tasks=len(batch)))


def features(learner: Classifier, x: Tensor) -> Tensor:
    return F.normalize(learner.network.features(x), dim=-1)  # type: ignore[operator]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("classes", ["seen", "all"])
def test_old_outputs_are_the_targets_of_old_classes(temperature: float, classes: Any) -> None:
    learner, icarl = learnt(2, temperature=temperature)
    old = icarl.old
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    batch = icarl.rehearse(learner, batch_of(2, classes=classes), Position(2, n_tasks=6), runner=RUNNER)
    assert len(batch) == 12
    assert batch.n_way == 12
    step = step_on(learner, batch)
    penalty = icarl.penalty(learner, step, runner=RUNNER)
    assert penalty is not None
    found = RUNNER.mean(step.losses, batch.weight) + penalty
    # By hand, example by example and way by way.
    expected, params = torch.zeros(len(batch)), step.params
    assert batch.classes is not None
    for b, (x, y, ways) in enumerate(zip(batch.query_x[:, 0], batch.query_y[:, 0], batch.classes, strict=True)):
        new, before = (learner.apply_network(p, x[None])[0] for p in (params, old))
        for n, number in enumerate(ways.tolist()):
            if number >= 0:
                target = torch.sigmoid(before[number] / temperature) if number < 8 else (y == n).float()
                expected[b] += F.binary_cross_entropy_with_logits(new[number], target)
    torch.testing.assert_close(found, (expected * batch.weight).sum() / batch.weight.sum())


def test_absent_ways_are_free_and_have_no_gradient() -> None:
    learner, icarl = learnt(2)
    batch = batch_of(2, classes="current").padded(7)
    step = step_on(learner, batch)
    penalty = icarl.penalty(learner, step, runner=RUNNER)
    assert penalty == 0  # none of the ways is old
    total = step.losses.mean() + penalty
    gradients = torch.autograd.grad(total, list(learner.parameters()))
    assert all(torch.isfinite(g).all() for g in gradients)
    plain = F.binary_cross_entropy_with_logits(
        step.outputs[:, 0, :4], F.one_hot(batch.query_y[:, 0], 4).float(), reduction="none"
    )
    torch.testing.assert_close(step.losses, plain.sum(1))


@pytest.mark.parametrize("policy", ["herding", "class_balanced"])
def test_exemplars_are_chosen_by_the_policy(policy: Any) -> None:
    _, icarl = learnt(1, policy=policy)
    reference, _ = learnt(1)
    memory, (pool,) = icarl.examples, toy_examples("class", 1).stream.experiences[0].pools
    assert isinstance(memory, ExampleMemory)
    for number, members in zip(pool.numbers.tolist(), pool.members, strict=True):
        with torch.no_grad():
            order = herd(features(reference, pool.gather(members, torch.device("cpu"))), 3)
        herded = pool.x[torch.from_numpy(members)[order]]
        kept = memory.rows.x[memory.rows.label == number]
        assert len(kept) == 3
        is_herded = sorted(kept.tolist()) == sorted(herded.tolist())
        assert is_herded or policy == "class_balanced"
    if policy == "class_balanced":
        assert sorted(memory.rows.x.tolist()) != sorted(learnt(1)[1].examples.rows.x.tolist())  # type: ignore[union-attr, attr-defined]


def test_the_answer_is_the_nearest_mean_of_exemplars() -> None:
    learner, icarl = learnt(2)
    memory = icarl.examples
    assert isinstance(memory, ExampleMemory)
    batch = batch_of(1, classes="all")
    found = icarl.respond(learner, learner.meta_parameters(), batch, runner=RUNNER)
    assert found is not None
    assert found.shape == (6, 1, 12)
    for number in range(12):
        mine = memory.rows.x[memory.rows.label == number]
        if number >= 8:
            assert len(mine) == 0
            assert (found[:, 0, number] == -torch.inf).all()
            continue
        assert len(mine) == 3
        mean = F.normalize(features(learner, mine).mean(0), dim=-1)
        expected = -(features(learner, batch.query_x[:, 0]) - mean).square().sum(1)
        torch.testing.assert_close(found[:, 0, number], expected, rtol=1e-4, atol=1e-6)


def test_answers_are_those_of_the_ways() -> None:
    learner, icarl = learnt(2)
    params = learner.meta_parameters()
    every, some = batch_of(1, classes="all"), batch_of(1, classes="current").padded(5)
    whole, part = (icarl.respond(learner, params, batch, runner=RUNNER) for batch in (every, some))
    assert whole is not None
    assert part is not None
    torch.testing.assert_close(part[..., :4], whole[..., 4:8])
    assert (part[..., 4] == -torch.inf).all()
    assert ICaRL().respond(learner, params, every, runner=RUNNER) is None


def test_it_learns_to_tell_all_classes_apart() -> None:
    def final(strategies: list[Any]) -> float:
        module = module_of(classifier(), strategies, partial(torch.optim.Adam, lr=0.02))
        data = toy_examples("class", 3, steps_per_experience=100)
        return float(fit(module, data).matrix()[-1].mean())

    assert final([ICaRL(budget=Budget(per_class=4))]) > max(final([]), 0.5) + 0.2


def test_exemplars_count_as_often_as_they_are_among_all_examples() -> None:
    learner, icarl = classifier(), ICaRL(budget=Budget(per_class=3), n_replay=5)
    seen = []

    class Look(AtEnd):
        def rehearse(self, learner: Any, batch: Episode, position: Position, *, runner: Any) -> Episode:
            seen.append((position.experience, batch.weight))
            return batch

    data = toy_examples("class", 2)
    fit(learner, data, [icarl, Look(lambda: None)])
    assert all(len(weight) == 8 for experience, weight in seen if experience == 0)
    n_current, n_kept = len(data.stream.experiences[1].pools[0]), 12
    for weight in (weight for experience, weight in seen if experience == 1):
        assert len(weight) == 8 + 5
        torch.testing.assert_close(weight[8:].sum() / weight[:8].sum(), torch.tensor(n_kept / n_current))


def test_the_old_network_is_that_of_the_last_experience() -> None:
    learner, icarl, kept = classifier(), ICaRL(budget=Budget(per_class=3)), []

    def look() -> None:
        kept.append((weights(learner), {name: t.clone() for name, t in icarl.old.items()}))

    fit(learner, toy_examples("class", 3), [icarl, AtEnd(look)])
    for now, old in kept:
        assert same(now, old)
    assert not same(kept[0][1], kept[1][1])


def test_old_outputs_and_means_are_taken_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
    learner = Classifier(WithHead(body, n_features=8, n_outputs=12), loss="sigmoid")
    icarl = ICaRL(budget=Budget(per_class=3))
    fit(learner, toy_examples("class", 2), [icarl])
    learner.train()
    before = {name: b.clone() for name, b in learner.network.named_buffers()}
    batch, means = batch_of(1), icarl.means.clone()
    with evaluating(learner.network):
        expected = icarl._exemplar_means(learner)[1]
        step = step_on(learner, batch)
    torch.testing.assert_close(means, expected)
    assert torch.equal(icarl.penalty(learner, step, runner=RUNNER), icarl.penalty(learner, step, runner=RUNNER))  # type: ignore[arg-type]
    assert same(before, dict(learner.network.named_buffers()))
    assert learner.network.training
    assert "network.body.2.running_mean" in icarl.old


def test_memory_is_exemplars_means_and_the_old_network() -> None:
    learner, icarl = learnt(2)
    exemplars = 24 * (4 * 4 + 8)
    means = 8 * (8 * 4 + 8)
    assert icarl.memory_bytes() == exemplars + means + sum(p.nbytes for p in learner.network.parameters())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [3, 6])
def test_a_run_that_stops_in_the_middle_goes_on_as_if_it_had_not(tmp_path: Path, step: int) -> None:
    data, strategies = partial(toy_examples, "class", 3), (lambda: [ICaRL(budget=Budget(per_class=3))])
    (one, first), (other, second) = fit_twice(classifier, data, strategies, tmp_path, step)
    assert same(weights(one), weights(other))
    assert (first.matrix()[-1] == second.matrix()[-1]).all()


def test_what_it_cannot_work_with_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"Classifier trains another loss: set .*--model.loss sigmoid"):
        ICaRL().attach(make_classifier())
    with pytest.raises(ValueError, match="ProtoNet trains another loss"):
        ICaRL().attach(make_learner("ProtoNet"))
    for scenario in ("domain", "task"):
        with pytest.raises(ValueError, match=f"ICaRL is made for .* kind class, and this one is {scenario}"):
            fit(classifier(), toy_examples(scenario), [ICaRL()])
    with pytest.raises(ValueError, match="Classifier learns from labelled examples"):
        fit(classifier(), toy_data(), [ICaRL()])
    for settings, words in (
        ({"budget": Budget(per_class=0)}, "its budget is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"n_replay": 0}, "n_replay is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            ICaRL(**settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="budget is 3 examples"):
        fit(classifier(), toy_examples("class"), [ICaRL(budget=Budget(examples=3))])
