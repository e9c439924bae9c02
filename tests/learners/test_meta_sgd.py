import pytest
import torch
from torch import nn

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.learners import MAML, MetaSGD
from tests.learners.exactness import check_finite_differences, regression_episode
from tests.toys import make_learner, network, random_episode


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("first_order", [False, True])
def test_gradients_of_weights_and_rates_equal_the_closed_form(first_order: bool, plan: PlanName) -> None:
    torch.manual_seed(3)
    x, y, qx, qy = (torch.randn(n, d, dtype=torch.float64) for n, d in ((5, 2), (5, 1), (4, 2), (4, 1)))
    net = nn.Linear(2, 1, bias=False)
    learner = MetaSGD(net, task="regression", first_order=first_order).double()
    rates = torch.tensor([[0.2, -0.05]], dtype=torch.float64)
    with torch.no_grad():
        learner.inner_rates["weight"].copy_(rates)
        hessian = 2 * x.T @ x / 5
        gradient = 2 * (x @ net.weight.T - y).T @ x / 5
        adapted = net.weight - rates * gradient
        of_query = 2 * (qx @ adapted.T - qy).T @ qx / 4
    TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), regression_episode(x, y, qx, qy)).sum().backward()
    expected = of_query if first_order else of_query - (rates * of_query) @ hessian
    torch.testing.assert_close(net.weight.grad, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(learner.inner_rates["weight"].grad, -of_query * gradient, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["vector", "regression"])
def test_meta_gradient_equals_finite_differences(kind: str) -> None:
    check_finite_differences(make_learner("MetaSGD", kind, n_inner_steps=3), random_episode(kind))


def test_starts_as_maml_with_one_rate_for_every_element() -> None:
    learner, batch = make_learner("MetaSGD", n_inner_steps=2, inner_rate=0.3), random_episode()
    maml = make_learner("MAML", n_inner_steps=2, inner_rate=0.3)
    assert isinstance(maml, MAML)
    shapes = {name.replace(".", "-"): p.shape for name, p in network().named_parameters()}
    assert {name: p.shape for name, p in learner.inner_rates.items()} == shapes  # type: ignore[union-attr, operator]
    torch.testing.assert_close(
        TaskRunner().losses(learner, learner.meta_parameters(), batch),
        TaskRunner().losses(maml, maml.meta_parameters(), batch),
    )
