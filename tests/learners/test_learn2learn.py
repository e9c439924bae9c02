"""learn2learn's algorithms as a learner, and our learners against learn2learn's."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import ANIL, MAML, Learn2Learn, MetaSGD, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from strategies import EWC, AdapterBank, Replay
from strategies.importance.fisher import fisher_diagonal
from tests.command_line import TINY_DATA, run_here
from tests.learn2learn import learn2learn_or_skip
from tests.toys import fit, module_of, network, random_episode, same, toy_data, weights

RATE = 0.125


class HandMade(nn.Module):
    """One rate for all, with the methods that learn2learn's algorithms have."""

    def __init__(self, module: nn.Module, moved: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        self.module, self.moved = module, moved

    def clone(self) -> HandMade:
        return HandMade(self.module, {n: p.clone() for n, p in self.module.named_parameters()})

    def adapt(self, loss: Tensor) -> None:
        assert self.moved is not None
        gradients = torch.autograd.grad(loss, list(self.moved.values()), create_graph=True)
        self.moved = {n: p - RATE * g for (n, p), g in zip(self.moved.items(), gradients, strict=True)}

    def forward(self, x: Tensor) -> Any:
        return self.module(x) if self.moved is None else torch.func.functional_call(self.module, self.moved, (x,))

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        if self.moved is None:
            yield from super().named_parameters(*args, **kwargs)
        else:
            yield from ((f"module.{n}", p) for n, p in self.moved.items())


def all_algorithms() -> list[Any]:
    names = ("maml", "meta_sgd", "meta_curvature", "kronecker")
    return [HandMade, *(pytest.param(name, marks=pytest.mark.learn2learn) for name in names)]


@pytest.fixture
def l2l() -> Any:
    return learn2learn_or_skip()


@pytest.fixture(params=all_algorithms())
def algorithm(request: pytest.FixtureRequest) -> Any:
    if isinstance(request.param, str):
        request.getfixturevalue("l2l")
    return request.param


def make(algorithm: Any, kind: str = "vector", norm: str = "group", **settings: Any) -> Learn2Learn:
    torch.manual_seed(1)
    wrapped = network(kind, 1 if kind == "regression" else 3, norm)
    settings = {"n_inner_steps": 2, "inner_rate": RATE} | settings
    return Learn2Learn(wrapped, algorithm=algorithm, **settings)


# -- the learner ------------------------------------------------------------------------------------------------------


def test_if_missing_one_sentence_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    with pytest.raises(ValueError, match="make learn2learn"):
        Learn2Learn(nn.Linear(2, 2))


def test_what_its_modules_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set --runner\.plan loop"):
        fit(module_of(make(HandMade), plan="vmap"), toy_data(1))
    with pytest.raises(ValueError, match=r"leave --runner\.recompute out"):
        fit(module_of(make(HandMade), runner=TaskRunner(recompute="steps")), toy_data(1))
    with pytest.raises(ValueError, match="running statistics"):
        Learn2Learn(nn.BatchNorm1d(2), algorithm=HandMade)
    learner = make(HandMade)
    with pytest.raises(ValueError, match="n_outputs 4"):
        TaskRunner().losses(learner, learner.meta_parameters(), random_episode(n_way=4))


@pytest.mark.parametrize("kind", ["vector", "image", "regression"])
def test_gradients_reach_every_meta_parameter(algorithm: Any, kind: str) -> None:
    learner = make(algorithm, kind, task="regression" if kind == "regression" else "classification")
    params = learner.meta_parameters()
    losses = TaskRunner().losses(learner, params, random_episode(kind))
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(losses.sum(), list(params.values())))


def test_it_adapts_the_parameters_that_it_is_given(algorithm: Any) -> None:
    learner, batch = make(algorithm), random_episode()
    before = weights(learner)
    given = {name: (0.5 * p).detach() for name, p in learner.meta_parameters().items()}
    found = TaskRunner().losses(learner, given, batch)
    assert same(before, weights(learner))
    learner.load_state_dict(given)
    torch.testing.assert_close(found, TaskRunner().losses(learner, learner.meta_parameters(), batch))


def test_evaluation_in_inference_mode_leaves_no_trace(algorithm: Any) -> None:
    learner = make(algorithm).eval()
    before = weights(learner)
    with torch.inference_mode():
        batch = random_episode()
        module = StreamModule(learner)
        score, predicted = module.validation_step(batch, 0)["score"], module.predict_step(batch, 0)
    with torch.no_grad():
        task = (random_episode().support_x[0], torch.eye(3).repeat(2, 1))
        state = learner.adapt(learner.meta_parameters(), *task)
    assert not any(t.grad_fn is not None for t in (score, predicted, *state.values()))
    assert same(before, weights(learner))
    assert all(p.grad is None for p in learner.parameters())
    torch.testing.assert_close(TaskRunner().scores(learner, learner.meta_parameters(), random_episode()), score)


def test_the_fisher_is_the_mean_of_the_squared_gradients(algorithm: Any) -> None:
    learner, batch = make(algorithm).double().eval(), random_episode(n_tasks=1).to(torch.float64)
    uniform = torch.rand(1, 6, 3, dtype=torch.float64)
    found = fisher_diagonal(learner, [(batch, uniform)], "empirical", runner=TaskRunner())
    params = learner.meta_parameters()
    gradients = torch.autograd.grad(TaskRunner().losses(learner, params, batch).sum(), list(params.values()))
    expected = {name: g.square() for name, g in zip(params, gradients, strict=True)}
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    exact = fisher_diagonal(learner, [(batch, uniform)], "exact", runner=TaskRunner())
    assert all(f.isfinite().all() and f.sum() > 0 for f in exact.values())


def test_a_frozen_parameter_adapts_but_has_no_fisher(algorithm: Any) -> None:
    learner, batch = make(algorithm), random_episode()
    next(learner.parameters()).requires_grad_(False)
    assert TaskRunner().losses(learner, learner.meta_parameters(), batch).requires_grad
    with pytest.raises(ValueError, match="cannot adapt a frozen parameter"):
        fisher_diagonal(learner, [(batch, torch.rand(3, 6, 3))], "sampled", runner=TaskRunner())


@pytest.mark.parametrize("strategy", [None, Replay, EWC, AdapterBank])
def test_learns_a_stream_with_every_strategy(algorithm: Any, strategy: type[Strategy] | None) -> None:
    learner = make(algorithm)
    before = weights(learner)
    evaluator = fit(learner, toy_data(2), [strategy()] if strategy else [])
    assert evaluator.matrix().shape == (2, 2, 8)
    assert strategy is AdapterBank or not same(before, weights(learner))


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_trains_in_other_precisions(algorithm: Any, precision: str) -> None:
    learner = make(algorithm, "image")
    fit(learner, toy_data(1, "image"), precision=precision)
    assert all(p.isfinite().all() for p in weights(learner).values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["tests.learners.test_learn2learn.HandMade", "meta_curvature"])
def test_from_the_command_line_and_resumed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "." not in name:
        request.getfixturevalue("l2l")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    options = [
        "--model=Learn2Learn", f"--model.algorithm={name}", "--model.n_inner_steps=2",
        "--model.network=lifelong.networks.MLP", "--model.network.n_inputs=64", "--model.network.n_outputs=3",
        *TINY_DATA, "--strategies=[strategies.Replay]", "--trainer.logger=false", "--trainer.accelerator=cpu",
    ]  # fmt: skip
    run_here("fit", *options, "--run.name=whole")
    run_here("fit", *options, "--run.name=parts", "--trainer.max_epochs=1")
    run_here("fit", "--ckpt_path=runs/parts/checkpoints/last.ckpt", "--trainer.max_epochs=3")
    whole, parts = (
        torch.load(f"runs/{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in ("whole", "parts")
    )
    assert all(torch.equal(w, parts[n]) for n, w in whole.items() if isinstance(w, Tensor))


# -- parity: the same weights, the same tasks, in float64 -------------------------------------------------------------

Answer = Callable[[Any, Tensor, Tensor, Tensor], Tensor]


def body_and_head(kind: str, norm: str = "batch") -> nn.Module:
    torch.manual_seed(1)
    return network(kind, norm=norm).double()


def doubles(kind: str) -> Episode:
    return random_episode(kind).to(torch.float64)


def assert_equal(ours: Learner, wrapped: nn.Module, theirs: dict[str, Tensor], answer: Answer, batch: Episode) -> float:
    """Losses and meta-gradients of all tasks; ``theirs`` maps our names to learn2learn's parameters."""
    params = ours.meta_parameters()
    losses = TaskRunner().losses(ours, params, batch)
    found = torch.autograd.grad(losses.sum(), [params[n] for n in theirs])
    expected_losses = []
    for sx, sy, qx, qy, _ in zip(*batch.tasks(), strict=True):
        expected_losses.append(F.cross_entropy(answer(wrapped, sx, sy, qx), qy))
    expected = torch.autograd.grad(torch.stack(expected_losses).sum(), list(theirs.values()))
    pairs = [(losses, torch.stack(expected_losses)), *zip(found, expected, strict=True)]
    difference = max(float((a - b).detach().abs().max()) for a, b in pairs)
    assert max(float(g.abs().max()) for g in found) > 1e-3
    assert difference < 1e-10
    print(f"{type(ours).__name__}: largest difference {difference:.1e}")
    return difference


def three_steps(algorithm: Any, sx: Tensor, sy: Tensor, qx: Tensor) -> Tensor:
    clone = algorithm.clone()
    for _ in range(3):
        clone.adapt(F.cross_entropy(clone(sx), sy))
    return clone(qx)  # type: ignore[no-any-return]


@pytest.mark.learn2learn
@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize("first_order", [False, True])
def test_maml_equals_learn2learns(l2l: Any, first_order: bool, kind: str) -> None:
    ours = MAML(body_and_head(kind), n_inner_steps=3, inner_rate=RATE, first_order=first_order).double()
    theirs = l2l.algorithms.MAML(copy.deepcopy(ours.network), lr=RATE, first_order=first_order)
    names = {f"network.{n}": p for n, p in theirs.module.named_parameters()}
    assert_equal(ours, theirs, names, three_steps, doubles(kind))


@pytest.mark.learn2learn
@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize("first_order", [False, True])
def test_meta_sgd_equals_learn2learns(l2l: Any, first_order: bool, kind: str) -> None:
    ours = MetaSGD(body_and_head(kind), n_inner_steps=3, inner_rate=RATE, first_order=first_order).double()
    with torch.no_grad():
        for rate in ours.inner_rates.parameters():
            rate += 0.05 * torch.rand_like(rate)
    theirs = l2l.algorithms.MetaSGD(copy.deepcopy(ours.network), first_order=first_order)
    rates = [ours.inner_rates[n.replace(".", "-")] for n, _ in ours.network.named_parameters()]
    with torch.no_grad():
        for copied, rate in zip(theirs.lrs, rates, strict=True):
            copied.copy_(rate)
    names = {f"network.{n}": p for n, p in theirs.module.named_parameters()}
    inner = [f"inner_rates.{n.replace('.', '-')}" for n, _ in ours.network.named_parameters()]
    assert_equal(ours, theirs, names | dict(zip(inner, theirs.lrs, strict=True)), three_steps, doubles(kind))


@pytest.mark.learn2learn
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize(("kind", "norm"), [("vector", "none"), ("image", "group")])
def test_anil_equals_learn2learns(l2l: Any, first_order: bool, kind: str, norm: str) -> None:
    ours = ANIL(body_and_head(kind, norm), n_inner_steps=3, inner_rate=RATE, first_order=first_order).double()
    theirs: Any = copy.deepcopy(ours.network)
    head = l2l.algorithms.MAML(theirs.head, lr=RATE, first_order=first_order)

    def answer(network: Any, sx: Tensor, sy: Tensor, qx: Tensor) -> Tensor:
        # As in learn2learn's LightningANIL: the features of all examples, then MAML on the classifier.
        support, query = network.features(torch.cat([sx, qx])).split([len(sx), len(qx)])
        return three_steps(head, support, sy, query)

    names = {f"network.{n}": p for n, p in theirs.named_parameters()}
    assert_equal(ours, theirs, names, answer, doubles(kind))


@pytest.mark.learn2learn
@pytest.mark.parametrize("kind", ["vector", "image"])
def test_protonet_equals_learn2learns(l2l: Any, kind: str) -> None:
    torch.manual_seed(1)
    embedding = MLP(n_inputs=4, hidden=[8], n_outputs=5) if kind == "vector" else network(kind, 5)
    ours = ProtoNet(embedding.double())
    theirs = copy.deepcopy(ours.network)

    def answer(network: Any, sx: Tensor, sy: Tensor, qx: Tensor) -> Any:
        return l2l.nn.PrototypicalClassifier(network(sx), sy)(network(qx))

    names = {f"network.{n}": p for n, p in theirs.named_parameters()}
    assert_equal(ours, theirs, names, answer, doubles(kind))


@pytest.mark.learn2learn
@pytest.mark.parametrize(("name", "ours"), [("maml", MAML), ("meta_sgd", MetaSGD)])
def test_the_wrapped_algorithm_equals_our_own_learner(l2l: Any, name: str, ours: Any) -> None:
    own = ours(body_and_head("image"), n_inner_steps=3, inner_rate=RATE).double()
    wrapped = Learn2Learn(body_and_head("image"), algorithm=name, n_inner_steps=3, inner_rate=RATE).double()  # type: ignore[arg-type]
    batch = doubles("image")
    torch.testing.assert_close(
        TaskRunner().losses(own, own.meta_parameters(), batch),
        TaskRunner().losses(wrapped, wrapped.meta_parameters(), batch),
        rtol=0,
        atol=1e-9,
    )
