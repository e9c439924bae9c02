"""Strategies over two processes: the weights and the memory of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.networks import MLP, CODAPrompt
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from strategies import (
    AGEM,
    DER,
    EASE,
    ERACE,
    EWC,
    GEM,
    MAS,
    OSF,
    SI,
    TUNA,
    AdapterBank,
    Budget,
    GDumb,
    ICaRL,
    PromptPool,
    Replay,
)
from tests.networks.tiny_models import Images
from tests.processes import fit_in_processes
from tests.text.stand_ins import PromptedNetwork
from tests.toys import FewClasses, make_learner, module_of, toy_data

pytestmark = pytest.mark.slow
SGD = partial(torch.optim.SGD, lr=0.05)
Fit = tuple[StreamModule, StreamDataModule]


def on_examples(strategies: list[Strategy], loss: Any = "softmax", **settings: Any) -> Fit:
    torch.manual_seed(1)
    learner = Classifier(MLP(n_inputs=4, hidden=[8], n_outputs=12), loss=loss)
    # An odd number of examples: the ranks have 3 and 2.
    sizes: dict[str, Any] = {"split": (0.2, 0.2), "batch_size": 5, "steps_per_experience": 6} | settings
    return module_of(learner, strategies, SGD), ExampleDataModule([FewClasses(3)], **sizes)


def memories() -> Fit:
    return on_examples(
        [
            AGEM(budget=Budget(examples=24), n_reference=3),
            DER(beta=0.5, budget=Budget(examples=20)),
            ERACE(budget=Budget(examples=20), n_replay=1),
            Replay(budget=Budget(examples=24), policy="herding"),
        ]
    )


def memory_of_tasks() -> Fit:
    return module_of(make_learner("ProtoNet"), [GEM(budget=Budget(examples=100))], SGD), toy_data(3)


def importance() -> Fit:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    strategies = [EWC(strength=1.0), MAS(strength=0.1), SI(strength=0.1)]
    return module_of(make_learner("ProtoNet"), strategies, optimizer), toy_data(2)


def gdumb() -> Fit:
    return on_examples([GDumb(budget=Budget(examples=24), n_steps=9, batch_size=5)], batch_size=8)


def icarl() -> Fit:
    return on_examples([ICaRL(budget=Budget(per_class=3), n_replay=5)], "sigmoid", batch_size=8, steps_per_experience=8)


def bank() -> Fit:
    return on_examples([AdapterBank(rank=1, start="nearest", frozen_from_start=True)], batch_size=8)


def ease() -> Fit:
    return on_examples([EASE(rank=1, frozen_from_start=True)], batch_size=8)


def tuna() -> Fit:
    return on_examples([TUNA(rank=1)], batch_size=8)


def subspaces() -> Fit:
    return on_examples([OSF(others="free")])


def prompts() -> Fit:
    torch.manual_seed(1)
    parts = CODAPrompt(n_experiences=3, n_components=3, length=2, layers=[0], orthogonality=0.1)
    learner = Classifier(PromptedNetwork(model="none", prompts=parts, n_outputs=12))
    optimizer = partial(torch.optim.SGD, lr=0.05, momentum=0.9)  # which goes on for a while where gradients are zero
    settings: dict[str, Any] = {"split": (0.2, 0.2), "batch_size": 5, "steps_per_experience": 6}
    return module_of(learner, [PromptPool()], optimizer), ExampleDataModule([Images(3)], classes="current", **settings)


@pytest.fixture
def fits(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one process and what two processes learn."""
    make: Callable[[], Fit] = request.param
    one, two = (fit_in_processes(make, n, tmp_path) for n in (1, 2))
    return one, two


def tensors(fit: dict[str, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in fit["state"].items() if isinstance(value, Tensor)}


def extra_state(fit: dict[str, Any]) -> list[Any]:
    return [value for value in fit["state"].values() if isinstance(value, dict)]


@pytest.mark.parametrize("fits", [memories, memory_of_tasks], indirect=True)
def test_two_processes_learn_and_keep_what_one_does(fits: tuple[dict[str, Any], dict[str, Any]]) -> None:
    torch.testing.assert_close(tensors(fits[0]), tensors(fits[1]), rtol=1e-4, atol=1e-6)
    by_one, by_two = ([state["rows"] for state in extra_state(fit) if "rows" in state] for fit in fits)
    assert len(by_one) in (4, 0)
    torch.testing.assert_close(by_one, by_two, rtol=1e-4, atol=1e-5, equal_nan=True)
    logged = [{k: v for k, v in fit["logged"].items() if k.startswith("train/")} for fit in fits]
    assert logged[0].keys() == logged[1].keys() >= {"train/loss", "train/score"}
    torch.testing.assert_close(logged[0], logged[1], rtol=1e-4, atol=1e-6)  # of the tasks of both


@pytest.mark.parametrize("fits", [importance], indirect=True)
def test_two_processes_find_the_importance_of_one(fits: tuple[dict[str, Any], dict[str, Any]]) -> None:
    states = [[state.get("quadratic", state)["importance"] for state in extra_state(fit)] for fit in fits]
    for name, one, two in zip(("EWC", "MAS", "SI"), *states, strict=True):
        largest = max(float(i.max()) for i in one.values())
        assert largest > 0, name
        for parameter in one:
            torch.testing.assert_close(one[parameter], two[parameter], rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("fits", [gdumb, icarl, bank, ease, tuna, subspaces, prompts], indirect=True)
def test_two_processes_learn_and_answer_as_one(fits: tuple[dict[str, Any], dict[str, Any]]) -> None:
    torch.testing.assert_close(tensors(fits[0]), tensors(fits[1]), rtol=1e-4, atol=1e-6)
    assert fits[0]["strategy_bytes"] == fits[1]["strategy_bytes"]
    assert torch.equal(fits[0]["matrix"], fits[1]["matrix"])


class Own(Strategy):
    """Puts the number of its process into a buffer and into an attribute, and gathers both at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("buffer", torch.zeros(1))
        self.register_buffer("gathered", torch.zeros(2, 2))
        self.attribute = torch.zeros(1)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        self.buffer += runner.rank
        self.attribute += runner.rank

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        rows = runner.gather(torch.cat([self.buffer, self.attribute])[None])
        if runner.world > 1:
            self.gathered.copy_(rows)


def own_state() -> Fit:
    return module_of(make_learner("ProtoNet"), [Own()], SGD), toy_data(1)


@pytest.mark.parametrize("fits", [own_state], indirect=True)
def test_buffers_follow_the_first_process_and_attributes_do_not(fits: tuple[dict[str, Any], dict[str, Any]]) -> None:
    # DistributedDataParallel copies the buffers of the first process to all others before each forward pass.
    assert fits[1]["state"]["strategies.members.0.gathered"].tolist() == [[0, 0], [0, 1]]
