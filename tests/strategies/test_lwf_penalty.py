"""The penalty of Learning without Forgetting: its formula, and the heads and classes that it is over."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.learners import Classifier
from strategies import LwF
from strategies.lwf import binary_distillation, distillation
from tests.strategies.distilling import RUNNER, examples, grad_of, linear, step_on, teach


def test_distillation_by_hand() -> None:
    # At temperature 2: (3/4, 1/4) taught to (1/2, 1/2).
    old, new = torch.tensor([2 * math.log(3), 0.0]), torch.zeros(2, requires_grad=True)
    value = distillation(new, old, 2.0)
    assert value.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    (gradient,) = torch.autograd.grad(value, new)
    torch.testing.assert_close(gradient, torch.tensor([(0.5 - 0.75) / 2, (0.5 - 0.25) / 2]))


def test_binary_distillation_by_hand() -> None:
    # At temperature 2: yes with 3/4 and 1/2, taught to 1/2 and 1/4.
    old = torch.tensor([2 * math.log(3), 0.0])
    new = torch.tensor([0.0, -2 * math.log(3)], requires_grad=True)
    first = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    second = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    value = binary_distillation(new, old, 2.0)
    assert value.item() == pytest.approx(first + second)
    (gradient,) = torch.autograd.grad(value, new)
    torch.testing.assert_close(gradient, torch.tensor([(0.5 - 0.75) / 2, (0.25 - 0.5) / 2]))


def test_sigmoid_outputs_are_distilled_class_by_class() -> None:
    learner, teacher, lwf, x = linear(), linear(seed=1), LwF(), torch.randn(3, 2)
    learner = Classifier(learner.network, loss="sigmoid")
    teach(lwf, teacher, [[0, 1]], n_past=1)
    step = step_on(learner, examples(x, [2, 3, 2], [0, 1, 2, 3]))
    new, old = (RUNNER.outputs(one, one.meta_parameters(), step.batch)[:, 0, :2] for one in (learner, teacher))
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), binary_distillation(new, old, 2.0))


def test_the_penalty_by_hand() -> None:
    learner, teacher, x = linear(), linear(seed=1), torch.randn(3, 2, generator=torch.Generator().manual_seed(2))
    batch = examples(x, [2, 3, 2], [0, 1, 2, 3])

    def by_hand(weight: float) -> Tensor:
        old, new = ((x @ one.network.weight[:2].T / 3).softmax(-1) for one in (teacher, learner))  # type: ignore[index]
        return weight * (old.detach() * (old.detach() / new).log()).sum(-1).mean()

    for settings, weight in (({}, 2.0), ({"weighting": 1.5}, 1.5)):
        lwf = LwF(temperature=3.0, **settings)  # type: ignore[arg-type]
        teach(lwf, teacher, [[0, 1]], n_past=2)
        penalty = lwf.penalty(learner, step_on(learner, batch), runner=RUNNER)
        assert penalty is not None
        torch.testing.assert_close(penalty, by_hand(weight))
        torch.testing.assert_close(grad_of(penalty, learner), grad_of(by_hand(weight), learner))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_among_all_ways_new_classes_have_no_chance(loss: Any) -> None:
    learner, teacher, lwf, x = linear(5), linear(5, seed=1), LwF(among="ways"), torch.randn(3, 2)
    learner = Classifier(learner.network, loss=loss)
    teach(lwf, teacher, [[0, 2]], n_past=1)
    step = step_on(learner, examples(x, [0, 1, 0], [0, 1, 2, 3]))
    new, old = (x @ one.network.weight.T / 2 for one in (learner, teacher))  # type: ignore[union-attr, operator]
    found = lwf.distances(learner, step, step.batch, RUNNER)
    if loss == "softmax":
        taught = old[:, [0, 2]].softmax(-1)
        expected = (taught * (taught.log() - new[:, :4].log_softmax(-1)[:, [0, 2]])).sum(-1)
    else:
        no = -nn.functional.logsigmoid(-new[:, [1, 3]]).sum(-1)
        expected = binary_distillation(2 * new[:, [0, 2]], 2 * old[:, [0, 2]], 2.0) + no
    torch.testing.assert_close(found, expected)
    gradient = grad_of(found.sum(), learner)
    assert (gradient[:4] != 0).all()
    assert (gradient[4] == 0).all()


def test_among_all_the_old_answers_to_all_ways_are_the_targets() -> None:
    learner, teacher, lwf, x = linear(5), linear(5, seed=1), LwF(among="all"), torch.randn(3, 2)
    teach(lwf, teacher, [[0, 2]], n_past=1)
    step = step_on(learner, examples(x, [0, 1, 0], [0, 1, 2, 3]))
    new, old = ((x @ one.network.weight.T)[:, :4] / 2 for one in (learner, teacher))  # type: ignore[union-attr, operator, index]
    expected = (old.softmax(-1) * (old.log_softmax(-1) - new.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), expected)


def test_among_all_equals_seen_where_experiences_have_heads() -> None:
    found = []
    for among in ("seen", "all"):
        learner, lwf, x = linear(4), LwF(among=among), torch.arange(8.0).reshape(4, 2)  # type: ignore[arg-type]
        teach(lwf, linear(4, seed=1), [[0, 1]], n_past=1)
        step = step_on(learner, examples(x, [0, 1, 0, 1], [2, 3]))
        found.append(lwf.distances(learner, step, step.batch, RUNNER))
    assert torch.equal(*found)
    assert found[0].gt(0).all()


@pytest.mark.parametrize("ways", [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [2, 3]], ids=["seen", "all", "current"])
def test_new_and_unseen_classes_are_not_distilled(ways: list[int]) -> None:
    learner, lwf = linear(6), LwF()
    teach(lwf, linear(6, seed=1), [[0, 1]], n_past=1)
    x = torch.randn(4, 2)
    step = step_on(learner, examples(x, [0, 1, 0, 1] if ways == [2, 3] else [2, 3, 2, 3], ways))
    gradient = grad_of(lwf.distances(learner, step, step.batch, RUNNER).sum(), learner)
    assert (gradient[:2] != 0).all()
    assert (gradient[2:] == 0).all()


def test_every_earlier_head_is_distilled_and_counts_alike() -> None:
    learner, teacher, lwf, x = linear(7), linear(7, seed=1), LwF(), torch.randn(3, 2)
    teach(lwf, teacher, [[0, 1, 2], [3, 4]], n_past=2)
    step = step_on(learner, examples(x, [0, 1, 0], [5, 6]))
    new, old = (x @ one.network.weight.T for one in (learner, teacher))  # type: ignore[union-attr, operator]
    heads = [distillation(new[:, h], old[:, h], 2.0) for h in (slice(0, 3), slice(3, 5))]
    torch.testing.assert_close(lwf.distances(learner, step, step.batch, RUNNER), (heads[0] + heads[1]) / 2)


@pytest.mark.parametrize(("ways", "passes"), [([0, 1, 2, 3], 1), ([2, 3], 2)])
def test_the_pass_of_the_loss_is_used_again_where_it_can_be(ways: list[int], passes: int) -> None:
    learner, lwf, calls = linear(), LwF(), []
    teach(lwf, linear(seed=1), [[0], [1]], n_past=2)
    step = step_on(learner, examples(torch.randn(3, 2), [0, 1, 0], ways))
    learner.network.register_forward_hook(lambda *_: calls.append(1))
    lwf.penalty(learner, step, runner=RUNNER)
    assert len(calls) == passes
