"""Tasks in turn, each of which lets go of its graph: the same gradients, with the memory of one task."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.learners import MAML
from lifelong.learners.base import Learner
from lifelong.networks import Conv4
from lifelong.strategy import Step, Strategy
from strategies import EWC, AdapterBank, LwF, Replay
from tests.compute.peak import peak
from tests.toys import LEARNERS, fit, make_learner, module_of, random_episode, toy_data, weights

WEIGHT = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)


def gradients(losses: Tensor, learner: Learner) -> tuple[Tensor, ...]:
    trained = [p for p in learner.parameters() if p.requires_grad]
    return torch.autograd.grad(losses @ WEIGHT, trained, materialize_grads=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_losses_outputs_and_gradients_equal_those_of_all_at_once(name: str) -> None:
    learner = make_learner(name).double()
    runner, batch = TaskRunner(plan="loop"), random_episode().to(torch.float64)
    assert runner._forgets_graphs(learner, batch.weight.device)
    torch.manual_seed(0)
    together = runner.losses_and_outputs(learner, learner.meta_parameters(), batch)
    torch.manual_seed(0)
    in_turn = runner.training_losses(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(in_turn, together)
    torch.testing.assert_close(gradients(in_turn[0], learner), gradients(together[0], learner))


def test_parameters_of_strategies_get_their_gradients() -> None:
    found = []
    for plan in ("loop", "vmap"):
        module = module_of(make_learner(), [AdapterBank()], plan=plan)  # type: ignore[arg-type]
        fit(module, toy_data(2))
        found.append(weights(module))
    assert any(name.startswith("strategies.") for name in found[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


class Outputs(Strategy):
    """Penalises the outputs."""

    def penalty(self, learner: Learner, step: Step, *, runner: TaskRunner) -> Tensor | None:
        return step.outputs.square().mean()


class Denies(Outputs):
    penalises_outputs: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("strategies", "forgets"),
    [([], True), ([Replay()], True), ([EWC()], True), ([Outputs()], False), ([LwF()], False), ([Denies()], True)],
)
def test_graphs_are_kept_for_a_penalty_on_outputs(strategies: list[Strategy], forgets: bool) -> None:
    learner = make_learner()
    runner = module_of(learner, strategies, plan="loop").runner
    assert runner._forgets_graphs(learner, torch.device("cpu")) is forgets


@pytest.mark.parametrize(
    ("settings", "autocast"), [({"plan": "vmap"}, False), ({"recompute": "tasks"}, False), ({}, True)]
)
def test_graphs_are_kept_where_tasks_run_otherwise(
    settings: dict[str, Any], autocast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, runner = make_learner(), TaskRunner(**({"plan": "loop"} | settings))
    monkeypatch.setattr("lifelong.compute.runner.in_turn", None)  # must not be called
    params, batch = learner.meta_parameters(), random_episode()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert runner.training_losses(learner, params, batch)[1].requires_grad
    with torch.no_grad():
        assert not runner.training_losses(learner, params, batch)[0].requires_grad


def test_a_penalty_that_denies_to_look_at_outputs_is_told() -> None:
    with pytest.raises(ValueError, match="say so in its strategy"):
        fit(module_of(make_learner(), [Denies()], plan="loop"), toy_data(1))


def test_memory_is_that_of_one_task() -> None:
    def step(n_tasks: int) -> int:
        learner = MAML(Conv4(n_filters=8, image_size=16, n_outputs=3), n_inner_steps=1)
        batch = random_episode(kind="image").take(torch.arange(n_tasks) % 3)
        params = learner.meta_parameters()
        runner = TaskRunner(plan="loop")
        return peak(lambda: runner.training_losses(learner, params, batch)[0].sum().backward())

    assert step(6) < 1.3 * step(1)
