from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from lifelong import learners
from lifelong.compute.inner_loop import clipped
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.learners import ANIL, BOIL, MAML
from lifelong.networks import MLP, WithHead
from tests.learners.exactness import ALPHA, check_finite_differences, linear_case
from tests.toys import fit, make_learner, network, random_episode, toy_data

OPTIONS = {"n_inner_steps": 3, "learn_inner_rate": True, "rates_per_step": True, "multi_step_loss_until": 10}


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
def test_meta_gradient_equals_the_closed_form(first_order: bool, plan: PlanName) -> None:
    net, batch, hand = linear_case()
    learner = MAML(
        net,
        task="regression",
        n_inner_steps=1,
        inner_rate=ALPHA,
        first_order=first_order,
    ).double()
    with torch.no_grad():
        for rate in learner.inner_rates.parameters():
            rate.fill_(ALPHA)
    loss = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch).sum()
    (found,) = torch.autograd.grad(loss, [net.weight])
    expected = hand["outer"] * (1.0 if first_order else 1 - ALPHA * hand["h"])
    assert loss.item() == pytest.approx(hand["loss"], rel=1e-12)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_a_learnt_inner_rate_receives_its_gradient() -> None:
    net, batch, hand = linear_case()
    learner = MAML(net, task="regression", n_inner_steps=1, inner_rate=ALPHA, learn_inner_rate=True).double()
    with torch.no_grad():
        for rate in learner.inner_rates.parameters():
            rate.fill_(ALPHA)
    TaskRunner().losses(learner, learner.meta_parameters(), batch).sum().backward()
    (rate,) = learner.inner_rates.parameters()
    assert rate.grad is not None
    assert rate.grad.item() == pytest.approx(-hand["outer"] * hand["g"], rel=1e-12)


def test_inner_rates_are_fixed_unless_asked_for() -> None:
    assert not any(p.requires_grad for p in MAML(nn.Linear(1, 1)).inner_rates.parameters())


@pytest.mark.parametrize("kind", ["vector", "regression"])
def test_meta_gradient_equals_finite_differences(kind: str) -> None:
    check_finite_differences(make_learner("MAML", kind, n_inner_steps=3), random_episode(kind))


@pytest.mark.parametrize("name", ["MAML", "ANIL", "BOIL"])
def test_all_options_meta_gradient_equals_finite_differences(name: str) -> None:
    learner = make_learner(name, **OPTIONS)
    learner.start_step(3)
    check_finite_differences(learner, random_episode())


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_with_all_options_vmap_equals_the_loop(kind: str) -> None:
    learner, batch = make_learner("MAML", kind, **OPTIONS).double(), random_episode(kind, n_tasks=2)
    learner.start_step(3)
    found = []
    for plan in ("loop", "vmap"):
        runner = TaskRunner(plan=plan)
        losses = runner.losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(learner.parameters()))))
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("step", [0, 3, 10, 11])
def test_the_multi_step_loss_anneals_to_the_last_step(step: int) -> None:
    batch = random_episode()
    learner = make_learner("MAML", n_inner_steps=3, multi_step_loss_until=10)
    learner.start_step(step)
    params = learner.meta_parameters()
    after = [TaskRunner().losses(make_learner("MAML", n_inner_steps=n), params, batch) for n in (1, 2, 3)]
    early = {0: 1 / 3, 3: 0.7 / 3, 10: 0.0, 11: 0.0}[step]
    losses, outputs = TaskRunner().losses_and_outputs(learner, params, batch)
    torch.testing.assert_close(losses, early * after[0] + early * after[1] + (1 - 2 * early) * after[2])
    torch.testing.assert_close(outputs, TaskRunner().outputs(make_learner("MAML", n_inner_steps=3), params, batch))
    if step >= 10:
        assert torch.equal(losses, after[2])
    assert torch.equal(TaskRunner().losses(learner.eval(), params, batch), after[2])


def test_first_order_ends_at_the_given_optimizer_step() -> None:
    def gradient(step: int = 0, **settings: Any) -> Tensor:
        learner = make_learner("MAML", **settings)
        learner.start_step(step)
        TaskRunner().losses(learner, learner.meta_parameters(), random_episode()).sum().backward()
        return torch.cat([p.grad.flatten() for p in learner.network.parameters() if p.grad is not None])

    for step, first_order in ((0, True), (4, True), (5, False)):
        assert torch.equal(gradient(step, first_order_until=5), gradient(first_order=first_order))
    assert not torch.allclose(gradient(first_order=True), gradient())


def test_progress_is_that_of_the_trainer() -> None:
    class Noting(MAML):
        seen: ClassVar[list[tuple[int, bool, float]]] = []

        def start_step(self, n_steps: int) -> None:
            super().start_step(n_steps)
            self.seen.append((n_steps, self.is_first_order(), self.step_weights()[0]))

    learner = Noting(network(), n_inner_steps=2, first_order_until=3, multi_step_loss_until=4)
    fit(learner, toy_data(2, steps_per_experience=3))
    weights = [0.5, 0.375, 0.25, 0.125, 0, 0]
    assert Noting.seen == [(step, step < 3, weights[step]) for step in range(6)]


def test_every_step_has_a_rate_of_its_own() -> None:
    net, batch, hand = linear_case()
    learner = MAML(
        net, task="regression", n_inner_steps=2, n_eval_steps=3, learn_inner_rate=True, rates_per_step=True
    ).double()
    a, b = 0.05, 0.11
    with torch.no_grad():
        learner.inner_rates["weight"].copy_(torch.tensor([a, b], dtype=torch.float64))
    TaskRunner().losses(learner, learner.meta_parameters(), batch).sum().backward()
    # The gradient at w is g + h (w - 0.8), so it shrinks by (1 - rate h) at every step.
    g, h = hand["g"], hand["h"]
    between, query_x, query_y = g * (1 - a * h), batch.query_x[0, :, 0], batch.query_y[0, :, 0]
    adapted = 0.8 - a * g - b * between
    outer = float((2 * query_x * (adapted * query_x - query_y)).mean())
    assert net.weight.grad is not None
    assert net.weight.grad.item() == pytest.approx(outer * (1 - a * h) * (1 - b * h), rel=1e-12)
    rates = learner.inner_rates["weight"].grad
    assert rates.tolist() == pytest.approx([-outer * g * (1 - b * h), -outer * between], rel=1e-12)
    # Evaluation takes a third step: with the last rate.
    state = learner.eval().adapt(learner.meta_parameters(), *(t[0] for t in batch.tasks()[:2]))
    assert state["network.weight"].item() == pytest.approx(adapted - b * between * (1 - b * h), rel=1e-12)


def test_fixed_rates_per_step_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same fixed rate: set --model.learn_inner_rate true"):
        MAML(nn.Linear(1, 1), rates_per_step=True)


@pytest.mark.parametrize("learner", [MAML, ANIL])
def test_one_step_from_a_zero_head_multiplies_by_class_means(learner: type[MAML]) -> None:
    torch.manual_seed(1)
    network = MLP(n_inputs=4, hidden=[8], n_outputs=3)
    maml = learner(network, n_inner_steps=1, inner_rate=0.3, head_rate=5.0, zero_head=True).double()
    batch = random_episode(n_tasks=2).to(torch.float64)
    outputs = TaskRunner().outputs(maml, maml.meta_parameters(), batch)
    for output, support_x, support_y, query_x in zip(
        outputs, batch.support_x, batch.support_y, batch.query_x, strict=True
    ):
        support, query = network.features(support_x), network.features(query_x)
        lack = (nn.functional.one_hot(support_y, 3).double() - 1 / 3) / len(support_y)  # minus the gradient by outputs
        torch.testing.assert_close(output, 5.0 * (query @ support.T @ lack + lack.sum(0)))


def test_zero_head_treats_ways_alike_and_ignores_its_weights() -> None:
    learner, batch = make_learner("MAML", n_inner_steps=3, zero_head=True).double(), random_episode()
    batch = batch.to(torch.float64)
    outputs = TaskRunner().outputs(learner, learner.meta_parameters(), batch)
    turned = replace(batch, support_y=(batch.support_y + 1) % 3)
    torch.testing.assert_close(TaskRunner().outputs(learner, learner.meta_parameters(), turned).roll(-1, -1), outputs)
    gradients = torch.autograd.grad(
        TaskRunner().losses(learner, learner.meta_parameters(), batch).sum(),
        [p for p in learner.network.parameters() if p.requires_grad],
    )
    assert len(gradients) == 2  # those of the one hidden layer
    with torch.no_grad():
        learner.network.head.weight.fill_(7.0)  # type: ignore[union-attr, operator]
    assert torch.equal(TaskRunner().outputs(learner, learner.meta_parameters(), batch), outputs)


def test_the_body_stays_for_one_step_from_a_head_of_zeros() -> None:
    learner, batch = make_learner("MAML", zero_head=True), random_episode(n_tasks=1)
    params = learner.meta_parameters()
    (support_x, support_y) = (t[0] for t in batch.tasks()[:2])
    support_y = learner.objective.encode(support_y, 3).float()
    start, one, two = learner.trajectory(params, support_x, support_y, 2)  # type: ignore[operator]
    body = [name for name in start if not name.startswith("network.head.")]
    assert all(torch.equal(start[name], one[name]) for name in body)
    assert any(not torch.equal(one[name], two[name]) for name in body)
    assert not start["network.head.weight"].any()
    assert one["network.head.weight"].any()


@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_a_head_of_zeros_against_finite_differences(plan: PlanName) -> None:
    settings = {"n_inner_steps": 3, "zero_head": True, "head_rate": 0.5, "learn_inner_rate": True}
    check_finite_differences(make_learner("MAML", **settings), random_episode(), runner=TaskRunner(plan=plan))


def test_the_head_moves_at_its_own_rate() -> None:
    batch = random_episode(n_tasks=1)
    support_x, support_y = (t[0] for t in batch.tasks()[:2])
    moved = {}
    for head_rate in (None, 0.4):
        learner = make_learner("MAML", inner_rate=0.1, head_rate=head_rate)
        start, end = learner.trajectory(  # type: ignore[operator]
            learner.meta_parameters(), support_x, learner.objective.encode(support_y, 3).float(), 1
        )
        moved[head_rate] = {name: end[name] - start[name] for name in start}
    for name, way in moved[None].items():
        factor = 4 if name.startswith("network.head.") else 1
        torch.testing.assert_close(moved[0.4][name], factor * way)


@pytest.mark.parametrize("setting", [{"zero_head": True}, {"head_rate": 0.1}])
def test_a_head_that_does_not_move_or_is_not_there_is_refused(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=f"^BOIL leaves the head where it is: leave --model.{name} out"):
        BOIL(WithHead(nn.Linear(2, 3), n_features=3, n_outputs=2), **setting)
    with pytest.raises(ValueError, match=f"^MAML with {name} needs a network with features and a head of its own"):
        MAML(nn.Linear(2, 2), **setting)


def test_from_a_head_of_zeros_only_a_linear_one_learns() -> None:
    network = WithHead(nn.Linear(2, 3), n_features=3, n_outputs=2)
    network.head = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))  # type: ignore[assignment]
    with pytest.raises(ValueError, match="the head is a Sequential, and from zeros only a linear one learns"):
        MAML(network, zero_head=True)


def test_zero_head_on_a_frozen_body_leaves_nothing_to_train() -> None:
    network = WithHead(nn.Linear(2, 3).requires_grad_(False), n_features=3, n_outputs=2)
    with pytest.raises(ValueError, match="with zero_head the head is not trained, and all else is frozen"):
        ANIL(network, zero_head=True)
    assert ANIL(network, zero_head=True, learn_inner_rate=True).zero_head


def test_evaluation_steps_are_used_in_evaluation_only() -> None:
    batch = random_episode()
    learner = make_learner("MAML", n_inner_steps=1, n_eval_steps=4)
    params = learner.meta_parameters()
    trained = TaskRunner().losses(learner.train(), params, batch)
    evaluated = TaskRunner().losses(learner.eval(), params, batch)
    torch.testing.assert_close(trained, TaskRunner().losses(make_learner("MAML", n_inner_steps=1), params, batch))
    torch.testing.assert_close(evaluated, TaskRunner().losses(make_learner("MAML", n_inner_steps=4), params, batch))
    assert not torch.allclose(trained, evaluated)


def test_no_evaluation_steps_means_the_initialisation_itself() -> None:
    learner, batch = make_learner("MAML", n_eval_steps=0).eval(), random_episode()
    _, outputs = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(outputs[1], learner.network(batch.query_x[1]))


def test_another_number_of_ways_is_refused() -> None:
    learner = make_learner("MAML")
    with pytest.raises(ValueError, match=r"the network has 3 outputs, but the tasks ask for 4.*n_outputs 4"):
        TaskRunner().losses(learner, learner.meta_parameters(), random_episode(n_way=4))


@pytest.mark.parametrize("settings", [{}, {"multi_step_loss_until": 10}])
def test_no_inner_steps_means_the_initialisation_itself(settings: dict[str, int]) -> None:
    learner, batch = make_learner("MAML", n_inner_steps=0, **settings).train(), random_episode()
    losses, outputs = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(outputs[1], learner.network(batch.query_x[1]))
    torch.testing.assert_close(losses[1], nn.functional.cross_entropy(outputs[1], batch.query_y[1]))


@pytest.mark.parametrize("steps", ["n_inner_steps", "n_eval_steps"])
@pytest.mark.parametrize("name", ["ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "Reptile"])
def test_negative_steps_are_refused(name: str, steps: str) -> None:
    with pytest.raises(ValueError, match=rf"--model.{steps} is -1: it must be (a whole number, )?at least 0"):
        make_learner(name, **{steps: -1})


@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_clipped_huber_meta_gradient_equals_finite_differences(plan: PlanName) -> None:
    settings = {"inner_huber": 0.3, "inner_clip": 0.2, "inner_rate": 0.5, "n_inner_steps": 3}
    check_finite_differences(
        make_learner("MAML", "regression", **settings), random_episode("regression"), runner=TaskRunner(plan=plan)
    )


@pytest.mark.parametrize("name", ["MAML", "MetaSGD"])
def test_one_wild_target_moves_weights_by_at_most_the_clip(name: str) -> None:
    x, y = torch.ones(4, 1), torch.tensor([[0.0], [0.0], [0.0], [1e6]])

    def moved_by(**settings: float) -> float:
        torch.manual_seed(0)
        learner = getattr(learners, name)(
            nn.Linear(1, 1), task="regression", n_inner_steps=1, inner_rate=0.5, **settings
        )
        before, after = learner.meta_parameters(), learner.adapt(learner.meta_parameters(), x, y)
        return sum((after[n] - before[n]).square().sum().item() for n in after) ** 0.5

    assert moved_by() > 1e5
    # A mean over four: the wild one pulls with 2δ/4 on weight and bias, the others with what they are off.
    assert moved_by(inner_huber=1.0) < 5
    assert moved_by(inner_clip=0.25) == pytest.approx(0.125)
    assert moved_by(inner_clip=1e9) == pytest.approx(moved_by())


def test_huber_loss_with_a_large_threshold_is_squared_error() -> None:
    batch = random_episode("regression")
    plain, huber = (make_learner("MAML", "regression", **s) for s in ({}, {"inner_huber": 1e6}))
    losses = [TaskRunner().losses(learner, learner.meta_parameters(), batch) for learner in (plain, huber)]
    torch.testing.assert_close(*losses)


def test_zero_gradients_are_clipped_to_zero_differentiably() -> None:
    w = torch.zeros(2, requires_grad=True)
    found = clipped({"w": 2 * w}, 1.0)["w"]
    (slope,) = torch.autograd.grad(found.sum(), w)
    assert found.tolist() == [0.0, 0.0]
    assert slope.isfinite().all()


def test_huber_and_clip_out_of_place_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--model.inner_clip is 0: it must be above 0, or null"):
        MAML(nn.Linear(1, 1), task="regression", inner_clip=0)
    with pytest.raises(ValueError, match=r"--model.inner_huber is for regression, and the task is classification"):
        MAML(nn.Linear(1, 2), inner_huber=1.0)
