from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Task
from lifelong.learners import Reptile
from lifelong.learners.base import Learner
from tests.learners.exactness import only_task
from tests.toys import fit, make_learner, module_of, random_episode, toy_data, weights


def descend(learner: Learner, x: Tensor, y: Tensor, n_steps: int, rate: float) -> dict[str, Tensor]:
    """Plain autograd, as written in the paper."""
    net = learner.network
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    for _ in range(n_steps):
        gradients = torch.autograd.grad(learner.objective.loss(net(x), y), list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), gradients, strict=True):
                p -= rate * g
    end = {name: p.detach().clone() for name, p in net.named_parameters()}
    net.load_state_dict(start)
    return end


def both(task: Task) -> tuple[Tensor, Tensor]:
    return torch.cat([task.support_x, task.query_x]), torch.cat([task.support_y, task.query_y])


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("kind", ["vector", "regression", "image"])
def test_the_gradient_points_back_from_the_adapted_weights(kind: str, plan: PlanName) -> None:
    learner = make_learner("Reptile", kind, n_inner_steps=3, inner_rate=0.2).double()
    batch = random_episode(kind, n_tasks=1).to(torch.float64)
    end = descend(learner, *both(only_task(learner, batch)), n_steps=3, rate=0.2)
    loss = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch).sum()
    start = weights(learner.network)
    loss.backward()
    distances = [(start[name] - end[name]).square().sum() for name in start]
    torch.testing.assert_close(loss.detach(), torch.stack(distances).sum() / 2, rtol=1e-10, atol=0)
    for name, p in learner.network.named_parameters():
        torch.testing.assert_close(p.grad, start[name] - end[name], rtol=1e-8, atol=1e-12)


def test_outer_sgd_moves_towards_the_mean_of_the_tasks() -> None:
    learner = make_learner("Reptile", n_inner_steps=2, inner_rate=0.2)
    data = toy_data(1, steps_per_experience=1, tasks_per_batch=2)
    ends: list[dict[str, Tensor]] = []

    def note(batch: object, batch_idx: int) -> None:
        for i in range(2):
            task = only_task(learner, type(batch)(*(t[i : i + 1] for t in batch.tasks()[:4]), batch.weight[:1], 3))  # type: ignore[attr-defined, call-arg]
            ends.append(descend(learner, *both(task), n_steps=2, rate=0.2))

    module = module_of(learner, optimizer=partial(torch.optim.SGD, lr=0.25))
    module.on_train_batch_start = note  # type: ignore[method-assign, assignment]
    start = weights(learner.network)
    fit(module, data)
    for name, p in weights(learner.network).items():
        mean = (ends[0][name] + ends[1][name]) / 2
        torch.testing.assert_close(p, start[name] + 0.25 * (mean - start[name]), rtol=1e-5, atol=1e-6)


def test_predictions_and_evaluation_see_the_support_set_alone() -> None:
    learner = make_learner("Reptile", n_inner_steps=2, n_eval_steps=4).double()
    batch = random_episode(n_tasks=1).to(torch.float64)
    task, params = only_task(learner, batch), learner.meta_parameters()
    for n_steps in (2, 4):
        end = descend(learner, task.support_x, task.support_y, n_steps=n_steps, rate=0.1)
        expected = torch.func.functional_call(learner.network, end, (task.query_x,))
        loss, output = learner.task_loss(params, task)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(TaskRunner().outputs(learner, params, batch)[0], expected)
        learner.eval()
    torch.testing.assert_close(loss, learner.objective.loss(expected, task.query_y))


def test_outputs_have_the_derivative_of_first_order() -> None:
    learner = make_learner("Reptile").double()
    task, params = only_task(learner, random_episode(n_tasks=1).to(torch.float64)), learner.meta_parameters()
    _, output = learner.task_loss(params, task)
    found = torch.autograd.grad(output.square().sum(), list(params.values()))
    end = descend(learner, task.support_x, task.support_y, n_steps=2, rate=0.1)
    leaves = [p.requires_grad_() for p in end.values()]
    value = torch.func.functional_call(learner.network, end, (task.query_x,)).square().sum()
    torch.testing.assert_close(found, torch.autograd.grad(value, leaves))


def test_running_statistics_are_refused() -> None:
    with pytest.raises(ValueError, match="Reptile adapts by gradients, which running statistics"):
        Reptile(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))


def test_a_fixed_rate_is_a_plain_number() -> None:
    # A tensor would be built, and sent to the device, for every parameter and step.
    learner = make_learner("Reptile", inner_rate=0.3)
    assert learner.rate(learner.meta_parameters(), "head.weight", 0) == 0.3  # type: ignore[operator]
    assert isinstance(learner.rate(learner.meta_parameters(), "head.weight", 0), float)  # type: ignore[operator]
