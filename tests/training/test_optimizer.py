from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.domain import Domain
from lifelong.learners import Classifier
from lifelong.networks import WithHead
from lifelong.strategy import Strategy
from lifelong.training.optimizer import make_optimizer, plain_settings, renew_settings
from tests.toys import Toy, fit, make_learner, module_of, same, toy_data, weights

SGD = partial(torch.optim.SGD, lr=1.0)


def test_the_schedule_moves_on_after_every_step() -> None:
    schedule = partial(StepLR, step_size=3, gamma=0.5)
    module = module_of(make_learner("ProtoNet"), optimizer=SGD, lr_scheduler=schedule)
    fit(module, toy_data(2))  # two experiences of four steps
    assert module.trainer.optimizers[0].param_groups[0]["lr"] == 0.25


def test_a_schedule_that_waits_for_a_measurement_is_one_sentence() -> None:
    module = module_of(make_learner("ProtoNet"), optimizer=SGD, lr_scheduler=ReduceLROnPlateau)
    with pytest.raises(ValueError, match="ReduceLROnPlateau waits for a measurement"):
        fit(module, toy_data(1))


@pytest.mark.parametrize(("length", "warned"), [(8, False), (5, True)])
def test_a_schedule_of_another_length_is_warned_of(length: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    schedule = partial(CosineAnnealingLR, T_max=length)
    with caplog.at_level(logging.WARNING, "lifelong.training.optimizer"):
        fit(module_of(make_learner("ProtoNet"), optimizer=SGD, lr_scheduler=schedule), toy_data(2))
    assert ("made for 5 steps, but the stream has 8: set --lr_scheduler.T_max 8" in caplog.text) is warned


class Momentum(Strategy):
    """Notes, before each step, the optimizer's state, the gradients and the parameters; changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[list[dict[str, torch.Tensor]]] = []
        self.state: Callable[[], Any] = dict

    def observe(self, learner: Any, gradients: dict[str, torch.Tensor], position: Any, *, runner: TaskRunner) -> None:
        params, state = learner.meta_parameters(), self.state()
        buffers = {name: state[p]["momentum_buffer"] for name, p in params.items() if p in state}
        self.notes.append([{n: t.detach().clone() for n, t in found.items()} for found in (buffers, gradients, params)])


@pytest.mark.parametrize("reset", [False, True])
def test_optimizer_state_is_carried_over_unless_reset(reset: bool) -> None:
    momentum = Momentum()
    sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    module = module_of(make_learner("ProtoNet"), [momentum], sgd, reset_optimizer=reset)
    momentum.state = lambda: module.trainer.optimizers[0].state
    fit(module, toy_data(2, steps_per_experience=3))
    assert not momentum.notes[0][0]
    (last, gradients, _), (carried, fresh, before), (_, _, after) = momentum.notes[2:5]
    assert all(gradient.abs().max() > 0 for gradient in fresh.values())
    expected = {} if reset else {n: 0.9 * last[n] + gradients[n] for n in last}
    torch.testing.assert_close(carried, expected)
    for name, parameter in before.items():
        step = fresh[name] + (0 if reset else 0.9 * carried[name])
        torch.testing.assert_close(after[name], parameter - 0.1 * step)


@pytest.mark.parametrize(
    ("settings", "fused"),
    [({}, True), ({"fused": False}, False), ({"foreach": True}, None), ({"differentiable": True}, None)],
)
def test_an_optimizer_that_is_left_free_takes_fused_steps(settings: dict[str, bool], fused: bool | None) -> None:
    optimizer = make_optimizer(partial(torch.optim.Adam, **settings), [nn.Parameter(torch.zeros(2))])
    assert [group["fused"] for group in optimizer.param_groups] == [fused]


def test_an_optimizer_without_a_fused_step_is_left_alone() -> None:
    for optimizer in (torch.optim.RMSprop, torch.optim.Adagrad):
        made = make_optimizer(optimizer, [nn.Parameter(torch.zeros(2))])
        assert not made.param_groups[0].get("fused")
    complex_too = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, dtype=torch.complex64))]
    assert make_optimizer(torch.optim.Adam, complex_too).param_groups[0]["fused"] is None


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_fused_steps_go_the_same_way(kind: str) -> None:
    found = []
    for settings in ({}, {"fused": False}):
        # Some gradients are zero in theory; with a smaller eps the rounding that they consist of would grow to steps.
        adam = partial(torch.optim.Adam, lr=0.01, eps=1e-3, **settings)
        learner = make_learner("ProtoNet", kind)
        before, module = weights(learner), module_of(learner, optimizer=adam)
        fit(module, toy_data(1, kind))
        assert module.trainer.optimizers[0].param_groups[0]["fused"] is not bool(settings)
        found.append(weights(learner))
    for name, fused in found[0].items():
        torch.testing.assert_close(fused, found[1][name], rtol=1e-4, atol=1e-5)
    assert not same(before, found[0])


class Contiguous(Strategy):
    """Returns the gradients as they are, but for their layout in memory."""

    def project(
        self, learner: Any, gradients: dict[str, torch.Tensor], position: Any, *, runner: TaskRunner
    ) -> dict[str, torch.Tensor]:
        return {name: gradient.clone(memory_format=torch.contiguous_format) for name, gradient in gradients.items()}


def test_the_layout_of_projected_gradients_does_not_matter() -> None:
    found = []
    for strategies in ([], [Contiguous()]):
        learner = make_learner("ProtoNet", "image")
        fit(learner, toy_data(1, "image"), strategies)
        found.append(weights(learner))
    kernel = learner.network.blocks[1][0].weight  # type: ignore[union-attr, index]
    assert kernel.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator, call-arg]
    assert not kernel.is_contiguous()  # type: ignore[operator]
    assert same(*found)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, partial(torch.optim.SGD, lr=0.1, momentum=0.9)])
def test_a_loaded_state_is_laid_out_as_the_parameters_are(optimizer: Any) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(2, 3, 4, 4), torch.randn(3, 2, 3, 4, 4)

    def stepped(first: torch.memory_format, then: torch.memory_format) -> torch.Tensor:
        states: Any = None
        for layout, some in ((first, gradients[:1]), (then, gradients[1:])):
            parameter = nn.Parameter(start.to(memory_format=layout, copy=True))
            made = make_optimizer(optimizer, [parameter])
            if states is not None:
                made.load_state_dict(states)
            for gradient in some:
                parameter.grad = gradient.to(memory_format=layout)
                made.step()
            states = made.state_dict()
        return parameter.detach().contiguous()

    plain, last = torch.contiguous_format, torch.channels_last
    for first, then in ((last, plain), (plain, last)):
        torch.testing.assert_close(stepped(first, then), stepped(plain, plain))


@pytest.mark.parametrize("before", [{}, {"fused": False}, {"foreach": True}])
@pytest.mark.parametrize("now", [{}, {"fused": False}, {"foreach": True}])
def test_optimizer_settings_are_the_runs_not_the_checkpoints(before: dict[str, bool], now: dict[str, bool]) -> None:
    def made(settings: dict[str, bool]) -> torch.optim.Optimizer:
        parameter = nn.Parameter(torch.zeros(2))
        parameter.grad = torch.ones(2)
        return make_optimizer(partial(torch.optim.Adam, **settings), [parameter])

    old, new = made(before), made(now)
    old.step()
    new.load_state_dict(old.state_dict())
    new.step()
    assert {name: new.param_groups[0][name] for name in ("fused", "foreach")} == {
        "fused": now.get("fused", None if now else True),
        "foreach": now.get("foreach"),
    }


def test_sparse_gradients_are_not_fused() -> None:
    class Words(Toy):
        def _domain(self, d: int) -> Domain:
            y = np.repeat(np.arange(12), 12)
            return Domain(f"words {d}", torch.from_numpy(y[:, None] * 3 % 7), y, [f"c{c}" for c in range(12)])

    network = WithHead(nn.EmbeddingBag(8, 4, sparse=True), n_features=4, n_outputs=12)
    module = module_of(Classifier(network), optimizer=SGD)
    data = ExampleDataModule([Words(1)], batch_size=8, steps_per_experience=2, split=(0.2, 0.2))
    fit(module, data)
    assert module.trainer.optimizers[0].param_groups[0]["fused"] is None


@pytest.mark.parametrize(("asked", "scheduled", "used"), [(0.1, False, 0.05), (0.2, False, 0.2), (0.2, True, 0.05)])
def test_a_setting_that_was_changed_is_used_and_no_other(
    asked: float, scheduled: bool, used: float, caplog: pytest.LogCaptureFixture
) -> None:
    before = plain_settings(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1))
    now = plain_settings(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=asked))
    loaded = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.05)  # lowered in training
    renew_settings(loaded, before, now, scheduled=scheduled)
    assert loaded.param_groups[0]["lr"] == used
    assert ("goes on with the learning rate of the checkpoint" in caplog.text) == scheduled


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_parameter_may_get_its_first_gradient_later(momentum: float, closes: bool) -> None:
    def moved(fuse: bool) -> list[list[float]]:
        weights = [nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
        made = make_optimizer(partial(torch.optim.SGD, lr=0.1, momentum=momentum), weights, fuse=fuse)
        for step in range(4):

            def backward(step: int = step) -> float:
                for number, weight in enumerate(weights):
                    weight.grad = torch.tensor([0.5, 1.0 + step]) if number == 0 or step > 1 else None
                return 0.0

            if closes:
                made.step(backward)
            else:
                backward()
                made.step()
        assert bool(made.param_groups[0]["fused"]) is fuse
        return [weight.tolist() for weight in weights]

    assert moved(True) == moved(False)
