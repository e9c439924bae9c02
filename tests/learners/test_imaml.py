import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.inner_loop import gradient_descent
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.learners import IMAML
from lifelong.learners.imaml import conjugate_gradients
from tests.learners.exactness import only_task, regression_episode
from tests.toys import make_learner, random_episode

STRENGTH = 0.7


def data() -> list[Tensor]:
    torch.manual_seed(3)
    return [torch.randn(n, d, dtype=torch.float64) for n, d in ((5, 3), (5, 1), (4, 3), (4, 1))]


def linear_learner(**settings: float) -> IMAML:
    torch.manual_seed(4)
    net = nn.Linear(3, 1, bias=False)
    defaults = {"n_inner_steps": 400, "inner_rate": 0.1, "regularisation": STRENGTH, "n_cg_steps": 3} | settings
    return IMAML(net, task="regression", **defaults).double()  # type: ignore[arg-type]


def by_hand(start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The end of the inner loop, the query gradient there, and the Hessian of the support loss."""
    x, y, qx, qy = data()
    hessian = 2 * x.T @ x / 5
    end = torch.linalg.solve(
        hessian + STRENGTH * torch.eye(3, dtype=torch.float64), 2 * x.T @ y / 5 + STRENGTH * start.T
    ).T
    return end, 2 * (qx @ end.T - qy).T @ qx / 4, hessian


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_meta_gradient_equals_the_analytic_implicit_gradient(damping: float, plan: PlanName) -> None:
    learner, batch = linear_learner(damping=damping), regression_episode(*data())
    loss = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch).sum()
    loss.backward()
    weight = learner.network.weight
    end, of_query, hessian = by_hand(weight.detach())
    task = only_task(learner, batch)
    state = learner.adapt(learner.meta_parameters(), task.support_x, task.support_y)["network.weight"]
    torch.testing.assert_close(state.detach(), end, rtol=1e-10, atol=0)
    torch.testing.assert_close(loss.detach(), (task.query_x @ end.T - task.query_y).square().mean())
    system = (1 + damping) * torch.eye(3, dtype=torch.float64) + hessian / STRENGTH
    torch.testing.assert_close(weight.grad, torch.linalg.solve(system, of_query.T).T, rtol=1e-9, atol=0)


def test_without_conjugate_gradients_it_is_first_order() -> None:
    found = []
    for n_cg_steps in (0, 1, 3):
        learner = linear_learner(n_cg_steps=n_cg_steps)
        TaskRunner().losses(learner, learner.meta_parameters(), regression_episode(*data())).sum().backward()
        found.append(learner.network.weight.grad)
    _, of_query, _ = by_hand(learner.network.weight.detach())
    torch.testing.assert_close(found[0], of_query)
    assert not torch.allclose(found[1], found[2], rtol=1e-3)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_meta_gradient_equals_a_long_unrolled_inner_loop(kind: str) -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1 if kind == "regression" else 3))
    learner = IMAML(net, task=kind, n_inner_steps=300, inner_rate=0.2, regularisation=1.0, n_cg_steps=30).double()  # type: ignore[arg-type]
    batch = random_episode("regression" if kind == "regression" else "vector", n_tasks=1).to(torch.float64)
    task, params = only_task(learner, batch), learner.meta_parameters()
    implicit = torch.autograd.grad(TaskRunner().losses(learner, params, batch).sum(), list(params.values()))

    def regularised(moved: dict[str, Tensor]) -> Tensor:
        fit = learner.objective.loss(learner.apply_network(moved, task.support_x), task.support_y)
        return fit + sum((moved[n] - params[n]).square().sum() for n in params) / 2

    rates = [{name: torch.tensor(0.2, dtype=torch.float64) for name in params}] * 300
    end = gradient_descent(regularised, params, rates, first_order=False)[-1]
    query_loss = learner.objective.loss(learner.apply_network(end, task.query_x), task.query_y)
    unrolled = torch.autograd.grad(query_loss, list(params.values()))
    torch.testing.assert_close(implicit, unrolled, rtol=1e-6, atol=1e-9)


def test_outputs_have_the_derivative_of_first_order() -> None:
    learner = make_learner("IMAML").double()
    task, params = only_task(learner, random_episode(n_tasks=1).to(torch.float64)), learner.meta_parameters()
    _, output = learner.task_loss(params, task)
    found = torch.autograd.grad(output.square().sum(), list(params.values()))
    state = learner.adapt(params, task.support_x, task.support_y)
    leaves = {name: p.detach().requires_grad_() for name, p in state.items()}
    value = learner.apply_network(leaves, task.query_x).square().sum()
    torch.testing.assert_close(found, torch.autograd.grad(value, list(leaves.values())))


def test_no_graph_is_kept_of_the_inner_loop() -> None:
    learner, task = linear_learner(), only_task(linear_learner(), regression_episode(*data()))
    state = learner.settle(learner.meta_parameters(), task.support_x, task.support_y)
    assert not any(p.requires_grad for p in state.values())
    assert not any(p.requires_grad for p in learner.implicit_gradient(state, task).values())


def test_conjugate_gradients_stop_at_negative_curvature() -> None:
    matrix = torch.diag(torch.tensor([2.0, -3.0]))
    for target in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]):
        start = torch.tensor(target)
        solved = conjugate_gradients(lambda v: {"w": matrix @ v["w"]}, {"w": start}, n_steps=20)["w"]
        expected = torch.tensor([0.5, 0.0]) if target == [1.0, 0.0] else start
        torch.testing.assert_close(solved, expected)


def test_a_regularisation_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"regularisation is 0.0: it must be above 0"):
        IMAML(nn.Linear(1, 1), regularisation=0.0)


@pytest.mark.parametrize("settings", [{"n_cg_steps": -1}, {"damping": -0.5}])
def test_negative_settings_are_refused(settings: dict[str, float]) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf"--model.{name} is {value}: it must be (a whole number, )?at least 0"):
        linear_learner(**settings)
