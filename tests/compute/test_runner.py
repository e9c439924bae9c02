"""The task runner: every plan has the same results, tasks are routed, and weights lie as the plan likes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.measuring import measured
from lifelong.compute.params import Params
from lifelong.compute.plan import Plan
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Task
from lifelong.learners import MAML, ProtoNet, RelationNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP, Conv4
from tests.compute.peak import peak
from tests.interrupted import SaveAt
from tests.toys import (
    LEARNERS,
    fit,
    make_classifier,
    make_learner,
    module_of,
    random_episode,
    same,
    toy_data,
    toy_examples,
    weights,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
WAYS: list[dict[str, Any]] = [
    {"plan": "loop"},
    {"plan": "vmap"},
    {"plan": "vmap", "chunk": 2},
    {"plan": "loop", "recompute": "both"},
    {"plan": "vmap", "recompute": "both"},
]
"""Every way to run the tasks of a batch."""


# -- plans ------------------------------------------------------------------------------------------------------------


def test_the_plan_follows_a_rule_of_device_and_network() -> None:
    small, images = ProtoNet(MLP(n_inputs=4)), ProtoNet(Conv4(n_filters=8))
    for plan in ("auto", "measure"):  # nothing is measured yet
        runner = TaskRunner(plan=plan)
        assert runner.plan_for(small, CPU) == runner.plan_for(small, CUDA) == Plan("vmap")
        assert runner.plan_for(images, CPU) == Plan("loop")
        assert runner.plan_for(images, CUDA) == Plan("vmap")


@pytest.mark.parametrize("plan", ["loop", "vmap"])
def test_a_plan_that_is_asked_for_is_followed(plan: PlanName) -> None:
    for network in (MLP(n_inputs=4), Conv4(n_filters=8)):
        assert TaskRunner(plan=plan, chunk=3).plan_for(ProtoNet(network), CPU) == Plan(plan, 3)  # type: ignore[arg-type]


class WithoutVmap(ProtoNet):
    """Runs in a loop only."""

    takes_vmap = False


def test_a_learner_that_vmap_cannot_run_is_run_in_a_loop() -> None:
    learner = WithoutVmap(MLP(n_inputs=4))
    assert TaskRunner().plan_for(learner, CUDA).mapping == "loop"
    assert measured(TaskRunner(), learner, random_episode()) == Plan("loop")


def test_a_measured_plan_stands_above_the_settings() -> None:
    runner = TaskRunner(plan="loop").planned(Plan("vmap", 2))
    assert runner.plan_for(ProtoNet(MLP(n_inputs=4)), CPU) == Plan("vmap", 2)
    assert runner.rerouted(lambda params, *_: params).plan_for(ProtoNet(MLP()), CPU) == Plan("vmap", 2)


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--runner.chunk is 0: it must be a whole number, at least 1"):
        TaskRunner(chunk=0)


# -- the same results -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_losses_outputs_and_scores_are_the_same_every_way(name: str) -> None:
    learner, batch = make_learner(name).double().eval(), random_episode().to(torch.float64)
    params = learner.meta_parameters()
    found = []
    for settings in WAYS:
        runner = TaskRunner(**settings)
        losses, outputs = runner.losses_and_outputs(learner, params, batch)
        trained = [p for p in learner.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(losses.sum(), trained, materialize_grads=True)
        found.append((losses, outputs, runner.outputs(learner, params, batch), gradients))
        torch.testing.assert_close(runner.losses(learner, params, batch), losses)
        torch.testing.assert_close(runner.training_losses(learner, params, batch)[0], losses)
        torch.testing.assert_close(
            runner.scores(learner, params, batch).double(), _accuracy(found[-1][2], batch.query_y)
        )
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-7, atol=1e-9)


def _accuracy(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs.argmax(-1) == labels).double().mean(-1)


@pytest.mark.parametrize("settings", WAYS)
def test_a_function_is_mapped_over_tasks_and_further_tensors(settings: dict[str, Any]) -> None:
    learner, batch = make_learner("ProtoNet"), random_episode()

    def function(task: Task, factor: Tensor) -> dict[str, Tensor]:
        return {"labels": task.query_y, "sum": factor * task.query_x.sum()}

    found = TaskRunner(**settings).map(function, learner, batch, torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(found["labels"], nn.functional.one_hot(batch.query_y, 3).float())
    torch.testing.assert_close(found["sum"], torch.tensor([1.0, 2.0, 3.0]) * batch.query_x.sum((1, 2)))


def test_a_training_step_needs_the_memory_of_one_task() -> None:
    def bytes_of(n_tasks: int, **settings: Any) -> int:
        learner, runner = MAML(Conv4(n_filters=8, image_size=16, n_outputs=3), n_inner_steps=1), TaskRunner(**settings)
        batch = random_episode(kind="image").take(torch.arange(n_tasks) % 3)
        params = learner.meta_parameters()
        return peak(lambda: runner.training_losses(learner, params, batch)[0].sum().backward())

    for settings in ({"plan": "loop"}, {"plan": "vmap", "chunk": 1, "recompute": "tasks"}):
        assert bytes_of(6, **settings) < 1.4 * bytes_of(1, **settings)
    assert bytes_of(6, plan="vmap") > 3 * bytes_of(1, plan="vmap")


# -- routes -----------------------------------------------------------------------------------------------------------


class Router(nn.Module):
    """Scales the parameters of a task by a factor of its own times the mean of the support set."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        return {name: (1 + self.factor * support_x.mean()) * p for name, p in params.items()}


@pytest.mark.parametrize("settings", WAYS)
def test_each_task_has_the_parameters_of_its_route(settings: dict[str, Any]) -> None:
    learner, batch, router = make_learner("ProtoNet").double(), random_episode().to(torch.float64), Router()
    runner = TaskRunner(**settings).routed(router, router, keeps_outputs=False)
    params = learner.meta_parameters()
    assert runner.is_routed
    losses, _ = runner.training_losses(learner, params, batch)
    expected = []
    for number in range(3):
        task = batch.take(slice(number, number + 1))
        expected.append(TaskRunner().losses(learner, router(params, task.support_x, task.support_y), task))
    torch.testing.assert_close(losses, torch.cat(expected))
    trained = [router.factor, *learner.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(losses.sum(), trained, materialize_grads=True),
        torch.autograd.grad(torch.cat(expected).sum(), trained, materialize_grads=True),
    )


@pytest.mark.parametrize("method", ["losses", "outputs", "scores"])
def test_another_route_takes_the_place_of_the_first(method: str) -> None:
    learner, batch, router = make_learner("ProtoNet").double().eval(), random_episode().to(torch.float64), Router()
    params = learner.meta_parameters()
    routed = TaskRunner(plan="loop").routed(router, router, keeps_outputs=False)
    found = [getattr(r, method)(learner, params, batch) for r in (routed.rerouted(lambda p, *_: p), TaskRunner())]
    torch.testing.assert_close(*found)


# -- how weights are laid out -----------------------------------------------------------------------------------------

NORMS = ["batch", "running", "group", "layer", "instance", "none"]
IMAGES = ["ProtoNet", "R2D2", "RelationNet", "SimpleShot", "FineTuning", "MAML", "ANIL", "Mahalanobis", "NoAdaptation"]


def convolution(learner: Learner) -> Tensor:
    weight: Tensor = learner.network.blocks[1][0].weight  # type: ignore[union-attr, index]
    return weight


def is_last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "plan", "last"), [("ProtoNet", "loop", True), ("ProtoNet", "vmap", False), ("MAML", "loop", False)]
)
def test_convolutions_are_laid_out_as_the_plan_likes(name: str, plan: PlanName, last: bool) -> None:
    learner = make_learner(name, "image")
    fit(module_of(learner, plan=plan), toy_data(1, "image", steps_per_experience=1, n_eval_tasks=1))
    assert is_last(convolution(learner)) is last
    assert convolution(learner).is_contiguous() is not last


def test_what_lay_otherwise_is_laid_out_anew() -> None:
    learner = make_learner("ProtoNet", "image")
    for plan, last in (("loop", True), ("vmap", False), ("loop", True)):
        TaskRunner(plan=plan).lay_out(learner, CPU)  # type: ignore[arg-type]
        assert is_last(convolution(learner)) is last
    TaskRunner(plan="loop").lay_out(learner, CUDA)
    assert not is_last(convolution(learner))


def image_learner(name: str, norm: str) -> Learner:
    if name != "RelationNet":
        return make_learner(name, "image", norm)
    torch.manual_seed(1)
    network = Conv4(n_filters=8, norm=norm, image_size=16, readout="maps", n_halvings=2)  # type: ignore[arg-type]
    return RelationNet(network, width=8, norm="group" if norm == "running" else norm)  # type: ignore[arg-type]


@pytest.fixture
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))


def stream() -> Any:
    return toy_data(1, "image", steps_per_experience=2, tasks_per_batch=2, n_eval_tasks=2)


@pytest.mark.usefixtures("_cache")
@pytest.mark.parametrize("plan", ["auto", "vmap", "measure"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", IMAGES)
def test_every_norm_trains_under_every_plan(name: str, norm: str, plan: PlanName) -> None:
    if norm == "running" and (plan == "vmap" or name in ("MAML", "ANIL")):
        pytest.skip("refused")
    learner = image_learner(name, norm)
    module = module_of(learner, plan=plan)
    before = weights(learner)
    assert fit(module, stream()).matrix().shape == (1, 1, 2)
    after = weights(learner)
    assert not same(before, after)
    assert all(p.isfinite().all() for p in after.values())
    # The optimizer's state lies as its parameters do, as fused steps on a CPU ask for.
    state = module.trainer.optimizers[0].state
    for p in learner.parameters():
        for value in state.get(p, {}).values():
            assert value.shape != p.shape or value.stride() == p.stride()


def trained(name: str, norm: str, plans: tuple[PlanName, PlanName], folder: Path) -> dict[str, Tensor]:
    """Weights of a run that began under one plan, stopped after two of four steps and went on under another."""
    path = folder / "middle.ckpt"
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings |= {"enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 0}
    settings |= {"max_epochs": -1, "limit_val_batches": 0}
    adam = lambda params: torch.optim.Adam(params, lr=0.01, eps=1e-3)  # noqa: E731
    for number, plan in enumerate(plans):
        learner = image_learner(name, norm)
        data = toy_data(1, "image", steps_per_experience=4, tasks_per_batch=2)
        trainer = L.Trainer(**settings, callbacks=[] if number else [SaveAt(2, path)])
        trainer.fit(module_of(learner, (), adam, plan), datamodule=data, ckpt_path=path if number else None)
    return weights(learner)


@pytest.mark.filterwarnings("ignore:.*reload_dataloaders|.*num_workers|.*resumable")
@pytest.mark.usefixtures("_cache")
@pytest.mark.parametrize("norm", ["group", "layer", "instance", "batch"])
@pytest.mark.parametrize("name", ["ProtoNet", "R2D2", "MAML"])
def test_a_run_goes_on_under_another_plan(name: str, norm: str, tmp_path: Path) -> None:
    expected = trained(name, norm, ("loop", "loop"), tmp_path)
    for plans in (("loop", "vmap"), ("vmap", "loop"), ("vmap", "measure")):
        found = trained(name, norm, plans, tmp_path)  # type: ignore[arg-type]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


# -- ranks ------------------------------------------------------------------------------------------------------------


def test_one_process_alone_sums_gathers_and_averages_its_own() -> None:
    runner, rows = TaskRunner(), torch.tensor([1.0, 3.0])
    assert (runner.rank, runner.world) == (0, 1)
    assert torch.equal(runner.sum(rows), rows)
    assert torch.equal(runner.gather(rows), rows)
    assert runner.mean(rows, torch.tensor([1.0, 3.0])).item() == 2.5


def test_a_runner_works_where_gradients_are_off() -> None:
    learner, batch = make_learner("MAML", n_inner_steps=2), random_episode()
    functions: list[Callable[..., Any]] = [TaskRunner(**settings).outputs for settings in WAYS]
    with torch.no_grad():
        found = [function(learner, learner.meta_parameters(), batch) for function in functions]
    for other in found:
        assert not other.requires_grad
        torch.testing.assert_close(other, found[0], rtol=1e-4, atol=1e-5)


def test_examples_without_support_sets_are_routed_in_one_pass() -> None:
    learner, calls = make_classifier(), []
    data = toy_examples("class", 1)
    batch = data.draw_for_training(0, range(8)).gather(CPU)

    def route(params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        calls.append(tuple(support_x.shape))
        return params | {"network.head.bias": params["network.head.bias"] + 1}

    params = learner.meta_parameters()
    routed = TaskRunner().rerouted(route)
    by_hand = TaskRunner().outputs(learner, route(params, batch.support_x[0], batch.support_y[0]), batch)
    calls.clear()
    assert torch.equal(routed.outputs(learner, params, batch), by_hand)
    assert torch.equal(routed.scores(learner, params, batch), learner.scores_of(by_hand, batch))
    assert torch.equal(routed.losses(learner, params, batch), learner.losses_of(by_hand, batch))
    assert calls == [(0, 4)] * 3
