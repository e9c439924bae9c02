"""Small cases whose meta-gradients are known, and finite differences where they are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.learners.base import Learner
from lifelong.networks import WithHead

ALPHA = 0.07


def regression_episode(support_x: Tensor, support_y: Tensor, query_x: Tensor, query_y: Tensor) -> Episode:
    """One task with inputs ``(n, d)`` and targets ``(n, 1)``."""
    return Episode(support_x[None], support_y[None], query_x[None], query_y[None], torch.ones(1), n_way=0)


def only_task(learner: Learner, batch: Episode) -> Task:
    """The one task of an episode, targets encoded."""
    support_x, support_y, query_x, query_y, classes = (t[0] for t in batch.tasks())
    support_y, query_y = (learner.objective.encode(y, batch.n_way).to(query_x.dtype) for y in (support_y, query_y))
    return Task(support_x, support_y, query_x, query_y, classes)


def _examples() -> list[Tensor]:
    numbers = ([1.0, -2.0, 0.5], [0.3, 1.0, -0.7], [2.0, 1.5], [-1.0, 0.4])
    return [torch.tensor(n).double()[:, None] for n in numbers]


def linear_case() -> tuple[nn.Linear, Episode, dict[str, float]]:
    """``w x``, one gradient step: support gradient ``g``, curvature ``h``, query loss and its gradient ``outer``."""
    x, y, qx, qy = _examples()
    w = 0.8
    net = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        net.weight.fill_(w)
    gradient = float((2 * x * (w * x - y)).mean())
    curvature = float((2 * x * x).mean())
    adapted = w - ALPHA * gradient
    outer = float((2 * qx * (adapted * qx - qy)).mean())
    loss = float(((adapted * qx - qy) ** 2).mean())
    batch = regression_episode(x, y, qx, qy)
    return net, batch, {"g": gradient, "h": curvature, "outer": outer, "loss": loss}


def two_layer_case(moves: str) -> tuple[WithHead, Episode, dict[str, float]]:
    """``head * body * x`` where one gradient step moves one of the two: by hand, the loss and both its gradients.

    With ``m`` the factor that moves and ``r`` the one at rest, ``m' = m - ALPHA g`` and ``g = mean 2 r x (r m x - y)``.
    """
    x, y, qx, qy = _examples()
    body, head = 0.6, -1.1
    net = WithHead(nn.Linear(1, 1, bias=False), n_features=1, n_outputs=1)
    net.head = nn.Linear(1, 1, bias=False)
    net = net.double()
    with torch.no_grad():
        net.body.weight.fill_(body)
        net.head.weight.fill_(head)
    m, r = (head, body) if moves == "head" else (body, head)
    rest = "body" if moves == "head" else "head"
    wrong = r * m * x - y
    adapted = m - ALPHA * float((2 * r * x * wrong).mean())
    query_wrong = r * adapted * qx - qy
    of_moved, of_rest = (float((2 * factor * qx * query_wrong).mean()) for factor in (r, adapted))
    by_moved = float((2 * r * r * x * x).mean())  # dg / dm
    by_rest = float((2 * x * wrong + 2 * r * x * m * x).mean())  # dg / dr
    hand = {
        "adapted": adapted,
        "loss": float(query_wrong.square().mean()),
        moves: of_moved * (1 - ALPHA * by_moved),
        rest: of_rest - ALPHA * of_moved * by_rest,
        f"first order {moves}": of_moved,
        f"first order {rest}": of_rest,
    }
    return net, regression_episode(x, y, qx, qy), hand


def check_two_layer_case(
    learner: Learner, batch: Episode, hand: dict[str, float], prefix: str, plan: PlanName = "auto"
) -> None:
    """The loss and both gradients of :func:`two_layer_case`."""
    for rate in learner.inner_rates.parameters():  # type: ignore[union-attr]
        rate.data.fill_(ALPHA)
    net = learner.network
    loss = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch).sum()
    body, head = torch.autograd.grad(loss, [net.body.weight, net.head.weight])  # type: ignore[union-attr, list-item]
    assert loss.item() == pytest.approx(hand["loss"], rel=1e-12)
    assert body.item() == pytest.approx(hand[f"{prefix}body"], rel=1e-12)
    assert head.item() == pytest.approx(hand[f"{prefix}head"], rel=1e-12)


def check_finite_differences(
    learner: Learner, batch: Episode, flat: Sequence[str] = (), runner: TaskRunner | None = None
) -> None:
    """The gradient of the mean loss equals central differences at the first and last element of every parameter.

    Args:
        learner: of any precision; it is made double.
        batch: what the loss is of.
        flat: parameters that the loss does not depend on; all others must move it.
        runner: runs the tasks.
    """
    learner, batch, step, runner = learner.double(), batch.to(torch.float64), 1e-6, runner or TaskRunner()
    params = {name: p.detach().requires_grad_(p.requires_grad) for name, p in learner.meta_parameters().items()}
    names = [name for name, p in params.items() if p.requires_grad]
    gradients = torch.autograd.grad(runner.losses(learner, params, batch).mean(), [params[n] for n in names])
    assert {name for name, g in zip(names, gradients, strict=True) if g.abs().max() < 1e-9} == set(flat)
    for (name, gradient), place in itertools.product(zip(names, gradients, strict=True), (0, -1)):
        sides = []
        for sign in (1, -1):
            moved = params[name].detach().clone()
            moved.view(-1)[place] += sign * step
            sides.append(runner.losses(learner, {**params, name: moved}, batch).mean().item())
        expected = (sides[0] - sides[1]) / (2 * step)
        assert gradient.reshape(-1)[place].item() == pytest.approx(expected, rel=1e-5, abs=1e-8), name
