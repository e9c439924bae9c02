import itertools

import pytest
import torch
from torch import nn

from lifelong.batch import Episode
from lifelong.learners import MAML
from lifelong.outer import OuterLoop
from tests.toys import make_learner, random_episode

ALPHA = 0.07


def linear_case() -> tuple[nn.Module, Episode, dict[str, float]]:
    x, y = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.3, 1.0, -0.7]).double()
    qx, qy = torch.tensor([2.0, 1.5]).double(), torch.tensor([-1.0, 0.4]).double()
    w = 0.8
    net = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        net.weight.fill_(w)
    gradient = float((2 * x * (w * x - y)).mean())
    curvature = float((2 * x * x).mean())
    adapted = w - ALPHA * gradient
    outer = float((2 * qx * (adapted * qx - qy)).mean())
    loss = float(((adapted * qx - qy) ** 2).mean())
    batch = Episode(*(t[None, :, None] for t in (x, y, qx, qy)), torch.ones(1), n_way=0)
    return net, batch, {"g": gradient, "h": curvature, "outer": outer, "loss": loss}


@pytest.mark.parametrize("mapping", ["vmap", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
def test_meta_gradient_equals_the_closed_form(first_order: bool, mapping: str) -> None:
    net, batch, hand = linear_case()
    learner = MAML(
        net,
        task="regression",
        n_inner_steps=1,
        inner_rate=ALPHA,
        first_order=first_order,
        outer=OuterLoop(mapping=mapping),
    ).double()
    with torch.no_grad():
        for rate in learner.inner_rates.parameters():
            rate.fill_(ALPHA)
    loss = learner.losses(learner.meta_parameters(), batch).sum()
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
    learner.losses(learner.meta_parameters(), batch).sum().backward()
    (rate,) = learner.inner_rates.parameters()
    assert rate.grad is not None
    assert rate.grad.item() == pytest.approx(-hand["outer"] * hand["g"], rel=1e-12)


def test_inner_rates_are_fixed_unless_asked_for() -> None:
    assert not any(p.requires_grad for p in MAML(nn.Linear(1, 1)).inner_rates.parameters())


@pytest.mark.parametrize("kind", ["vector", "regression"])
def test_meta_gradient_through_three_steps_equals_finite_differences(kind: str) -> None:
    learner = make_learner("MAML", kind, n_inner_steps=3).double()
    batch = random_episode(kind).to(torch.float64)
    params = {k: p.detach().requires_grad_(k.startswith("network.")) for k, p in learner.meta_parameters().items()}
    names = [k for k in params if k.startswith("network.")]
    gradients = torch.autograd.grad(learner.losses(params, batch).mean(), [params[n] for n in names])
    step = 1e-6
    for (name, gradient), place in itertools.product(zip(names, gradients, strict=True), (0, -1)):
        sides = []
        for sign in (1, -1):
            moved = params[name].detach().clone()
            moved.view(-1)[place] += sign * step
            sides.append(learner.losses({**params, name: moved}, batch).mean().item())
        expected = (sides[0] - sides[1]) / (2 * step)
        assert gradient.reshape(-1)[place].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_evaluation_steps_are_used_in_evaluation_only() -> None:
    batch = random_episode()
    learner = make_learner("MAML", n_inner_steps=1, n_eval_steps=4)
    params = learner.meta_parameters()
    trained = learner.train().losses(params, batch)
    evaluated = learner.eval().losses(params, batch)
    torch.testing.assert_close(trained, make_learner("MAML", n_inner_steps=1).losses(params, batch))
    torch.testing.assert_close(evaluated, make_learner("MAML", n_inner_steps=4).losses(params, batch))
    assert not torch.allclose(trained, evaluated)


def test_no_evaluation_steps_means_the_initialisation_itself() -> None:
    learner, batch = make_learner("MAML", n_eval_steps=0).eval(), random_episode()
    _, outputs = learner.losses_and_outputs(learner.meta_parameters(), batch)
    torch.testing.assert_close(outputs[1], learner.network(batch.query_x[1]))


def test_another_number_of_ways_is_refused() -> None:
    learner = make_learner("MAML")
    with pytest.raises(ValueError, match=r"the network has 3 outputs, but the tasks ask for 4.*n_outputs 4"):
        learner.losses(learner.meta_parameters(), random_episode(n_way=4))
