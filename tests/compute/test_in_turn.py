"""Tasks in turn, each of which lets go of its graph: the same gradients, with the memory of one task."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from benchmarks.performance.memory import peak
from lifelong.compute.runner import TaskRunner
from lifelong.learners import MAML
from lifelong.learners.base import Learner
from lifelong.networks import Conv4
from lifelong.strategy import Step, Strategy
from lifelong.training.optimizer import OuterLoop
from strategies import EWC, AdapterBank, LwF, Replay
from tests.toys import LEARNERS, fit, make_learner, random_episode, toy_data

WEIGHT = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)


def gradients(losses: Tensor, learner: Learner) -> tuple[Tensor, ...]:
    trained = [p for p in learner.parameters() if p.requires_grad]
    return torch.autograd.grad(losses @ WEIGHT, trained, materialize_grads=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_losses_outputs_and_gradients_are_those_of_all_tasks_together(name: str) -> None:
    learner = make_learner(name).double()
    learner.outer = OuterLoop(mapping="loop")
    batch = random_episode().to(torch.float64)
    assert learner._lets_go(batch.weight.device)
    torch.manual_seed(0)
    together = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), batch)
    torch.manual_seed(0)
    in_turn = TaskRunner().training_losses(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(in_turn, together)
    torch.testing.assert_close(gradients(in_turn[0], learner), gradients(together[0], learner))


def test_parameters_of_strategies_get_their_gradients() -> None:
    found = []
    for plan in ("loop", "vmap"):
        learner = make_learner()
        runner = TaskRunner(plan=plan)
        fit(learner, toy_data(2), [AdapterBank()])
        found.append({name: p.detach() for name, p in learner.named_parameters()})
    assert any(name.startswith("strategies.") for name in found[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


class Outputs(Strategy):
    """Penalises the outputs."""

    def penalty(self, learner: Learner, step: Step) -> Tensor | None:
        return step.outputs.square().mean()


class Denies(Outputs):
    penalises_outputs: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("strategies", "lets_go"),
    [([], True), ([Replay()], True), ([EWC()], True), ([Outputs()], False), ([LwF()], False), ([Denies()], True)],
)
def test_graphs_are_kept_for_a_penalty_on_outputs(strategies: list[Strategy], lets_go: bool) -> None:
    learner = make_learner()
    learner.outer = OuterLoop(mapping="loop")
    learner.use(strategies)
    assert learner._lets_go(torch.device("cpu")) is lets_go


@pytest.mark.parametrize(
    ("outer", "autocast"), [({"mapping": "vmap"}, False), ({"recompute": "tasks"}, False), ({}, True)]
)
def test_graphs_are_kept_where_tasks_run_otherwise(outer: dict[str, Any], autocast: bool) -> None:
    learner = make_learner()
    learner.outer = OuterLoop(**({"mapping": "loop"} | outer))
    with torch.autocast("cpu", enabled=autocast):
        assert not learner._lets_go(torch.device("cpu"))
    with torch.no_grad():
        assert not learner._lets_go(torch.device("cpu"))


def test_a_penalty_that_denies_to_look_at_outputs_is_told() -> None:
    learner = make_learner()
    learner.outer = OuterLoop(mapping="loop")
    with pytest.raises(ValueError, match="say so in its strategy"):
        fit(learner, toy_data(1), [Denies()])


def test_memory_is_that_of_one_task() -> None:
    def step(n_tasks: int) -> float:
        learner = MAML(Conv4(n_filters=8, image_size=16, n_outputs=3), n_inner_steps=1, outer=OuterLoop(mapping="loop"))
        batch = random_episode(kind="image").take(torch.arange(n_tasks) % 3)
        params = learner.meta_parameters()
        return peak(lambda: TaskRunner().training_losses(learner, params, batch)[0].sum().backward(), torch.device("cpu"))

    assert step(6) < 1.3 * step(1)
