from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.recompute import recomputed
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.compute.vmap_fixes import FIXES, is_written_out
from lifelong.learners import MAML, ProtoNet
from lifelong.learners.base import Learner
from strategies import AdapterBank, LwF
from strategies.importance.fisher import fisher_diagonal
from tests.toys import LEARNERS, fit, make_learner, module_of, random_episode, same, toy_data, weights

PLANS = [("loop", None), ("vmap", None), ("vmap", 2)]
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *((name, "vector", {}) for name in LEARNERS),
    ("MAML", "regression", {"inner_huber": 0.5, "inner_clip": 0.5}),
    ("MAML", "vector", {"first_order": True}),
    ("MAML", "vector", {"learn_inner_rate": True, "rates_per_step": True}),
    ("MAML", "vector", {"learn_inner_rate": True, "zero_head": True}),
    ("MAML", "vector", {"multi_step_loss_until": 9}),
    ("MAML", "image", {"norm": "batch"}),
]


def gradients(learner: Learner, kind: str, **settings: Any) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """Losses, outputs, and the gradient of a function of both."""
    batch = random_episode(kind).to(torch.float64)
    losses, outputs = TaskRunner(**settings).losses_and_outputs(learner, learner.meta_parameters(), batch)
    trained = [p for p in learner.parameters() if p.requires_grad]
    value = losses @ torch.tensor([1.0, 0.5, 2.0]).double() + outputs.square().mean()
    return losses, outputs, torch.autograd.grad(value, trained, materialize_grads=True)


@pytest.mark.parametrize(("name", "kind", "settings"), CASES)
@pytest.mark.parametrize(("plan", "chunk"), PLANS)
def test_losses_and_gradients_stay_the_same(
    name: str, kind: str, settings: dict[str, Any], plan: str, chunk: int | None
) -> None:
    learner = make_learner(name, kind, **settings).double()
    where: dict[str, Any] = {"plan": plan, "chunk": chunk}
    expected = gradients(learner, kind, **where)
    for recompute in ("steps", "tasks", "both"):
        found = gradients(learner, kind, recompute=recompute, **where)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", [nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4, track_running_stats=False)])
def test_norms_under_vmap_are_those_of_the_loop(norm: nn.Module) -> None:
    before = {name: fix.original for name, fix in FIXES.items()}
    network = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 3))
    for parameter in network.parameters():
        parameter.data.normal_()
    learner = MAML(network, n_inner_steps=2).double()
    expected = gradients(learner, "vector", plan="loop")
    for recompute in ("steps", "tasks", "both"):
        found = gradients(learner, "vector", plan="vmap", recompute=recompute)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-7)
    assert {name: getattr(torch.nn.functional, name) for name in FIXES} == before


@pytest.mark.parametrize("recompute", ["steps", "tasks", "both"])
def test_what_vmap_writes_out_is_written_out_again(recompute: str) -> None:
    network, seen = nn.Linear(4, 3), []
    network.register_forward_pre_hook(lambda *_: seen.append(is_written_out()))
    learner = MAML(network, n_inner_steps=1).double()
    gradients(learner, "vector", plan="vmap")
    n_plain = len(seen)
    gradients(learner, "vector", plan="vmap", recompute=recompute)
    assert len(seen) > 2 * n_plain
    assert all(seen)


@pytest.mark.parametrize(("plan", "chunk"), PLANS)
def test_dropout_draws_the_same_numbers_again(plan: str, chunk: int | None) -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    learner = MAML(network, n_inner_steps=2).double()
    where: dict[str, Any] = {"plan": plan, "chunk": chunk}
    found, following = [], []
    for recompute in ("nothing", "steps", "tasks", "both"):
        torch.manual_seed(3)
        found.append(gradients(learner, "vector", recompute=recompute, **where))
        following.append(torch.rand(1).item())
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-10, atol=1e-10)
    assert len(set(following)) == 1


@pytest.mark.parametrize("plan", ["loop", "vmap"])
def test_autocast_is_that_of_the_first_time(plan: PlanName) -> None:
    torch.manual_seed(0)
    learner = ProtoNet(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)))
    batch, found = random_episode(), []
    for recompute in ("nothing", "tasks"):
        runner = TaskRunner(plan=plan, recompute=recompute)
        with torch.autocast("cpu", torch.bfloat16):
            losses = runner.losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(learner.parameters()))))
    # Weights are the same for all tasks: their gradients are added up in another order, in halves.
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("plan", ["loop", "vmap"])
@pytest.mark.parametrize("name", ["MAML", "MetaSGD", "CAVIA"])
def test_gradients_of_single_tasks_stay_the_same(name: str, plan: PlanName) -> None:
    learner = make_learner(name).double()
    batch, found = random_episode().to(torch.float64), []
    for recompute in ("nothing", "both"):
        runner = TaskRunner(plan=plan, recompute=recompute)
        found.append(fisher_diagonal(learner, [(batch, torch.zeros(len(batch)))], "exact", runner))
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("strategy", "kind"), [(partial(AdapterBank, n_signature_tasks=2), "image"), (LwF, "vector")])
def test_a_stream_with_strategies_goes_the_same_way(strategy: Any, kind: str) -> None:
    found = []
    for recompute in ("nothing", "both"):
        runner = TaskRunner(plan="loop", recompute=recompute)  # type: ignore[arg-type]
        learner = make_learner("MAML", kind)
        module = module_of(learner, [strategy()], partial(torch.optim.SGD, lr=0.05), runner=runner)
        before = weights(module)
        fit(module, toy_data(2, kind, steps_per_experience=2, tasks_per_batch=2, n_eval_tasks=1))
        assert not same(before, weights(module))
        found.append(weights(module))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_the_graph_that_is_kept_becomes_smaller() -> None:
    def kept(recompute: Any) -> int:
        learner, runner = make_learner("MAML", n_inner_steps=8), TaskRunner(plan="loop", recompute=recompute)
        waiting: list[Any] = [runner.losses(learner, learner.meta_parameters(), random_episode()).sum().grad_fn]
        seen = set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [following for following, _ in node.next_functions]
        return len(seen)

    nothing, steps, tasks = kept("nothing"), kept("steps"), kept("tasks")
    assert steps < nothing / 2
    assert tasks < steps / 2


def test_derivatives_of_derivatives() -> None:
    w = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)

    def step(w: Tensor, rate: float) -> Tensor:
        return w - rate * torch.func.grad(lambda v: v.exp().sum())(w)

    def function(w: Tensor) -> Tensor:
        return recomputed(step, w, 0.1)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(function, w)
    assert torch.autograd.gradgradcheck(function, w)
