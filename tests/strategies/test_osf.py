"""OSF: the gradient has no part in the preserved directions, and no step moves them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.networks import MLP
from strategies import OSF
from tests.text.tiny import needs_extra
from tests.toys import AtEnd, fit, make_classifier, module_of, toy_examples, weights

RUNNER = TaskRunner()
OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "AdamW": partial(torch.optim.AdamW, lr=0.05, weight_decay=0.1),
}


def classifier() -> Classifier:
    torch.manual_seed(1)
    return Classifier(MLP(n_inputs=4, hidden=[8, 6], n_outputs=12))


def begun(share: float = 0.5, **settings: Any) -> tuple[Classifier, OSF, dict[str, tuple[Tensor, Tensor, Tensor]]]:
    """A learner, a strategy that protects it, and the preserved part of each matrix, decomposed here in double."""
    learner, strategy = classifier(), OSF(share=share, from_start=True, **settings)
    strategy.begin(learner, None, runner=RUNNER)  # type: ignore[arg-type]
    parts = {}
    for name in ("network.body.0.weight", "network.body.2.weight"):
        u, s, v = torch.linalg.svd(learner.get_parameter(name).detach().double(), full_matrices=False)
        rank = int(share * len(s))
        parts[name] = (u[:, :rank], s[:rank], v[:rank])
    return learner, strategy, parts


def test_the_gradient_has_no_part_in_preserved_directions() -> None:
    learner, strategy, parts = begun()
    gradients = {name: torch.randn(p.shape) for name, p in learner.named_parameters()}
    projected = strategy.project(learner, gradients, Position(1), runner=RUNNER)
    for name, (u, _, v) in parts.items():
        g = projected[name].double()
        assert (u.T @ g).abs().max() < 1e-6
        assert (g @ v.T).abs().max() < 1e-6
        n, m = torch.eye(len(u)).double(), torch.eye(v.shape[1]).double()
        expected = (n - u @ u.T) @ gradients[name].double() @ (m - v.T @ v)
        torch.testing.assert_close(g, expected, atol=1e-6, rtol=1e-5)
        assert g.abs().max() > 0.1
    assert projected.keys() == parts.keys() | {"network.head.weight", "network.head.bias"}
    assert torch.equal(projected["network.head.weight"], gradients["network.head.weight"])


def test_no_step_moves_the_preserved_directions() -> None:
    learner, strategy, parts = begun()
    before = weights(learner)
    with torch.no_grad():
        for p in learner.parameters():
            p.add_(torch.randn(p.shape))
    moved = weights(learner)
    strategy.stepped(learner, Position(1), runner=RUNNER)
    for name, (u, s, v) in parts.items():
        w = learner.get_parameter(name).detach().double()
        torch.testing.assert_close(u.T @ w, s[:, None] * v, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(w @ v.T, u * s, atol=1e-5, rtol=1e-5)
        n, m = torch.eye(len(u)).double(), torch.eye(v.shape[1]).double()
        step = (n - u @ u.T) @ (moved[name] - before[name]).double() @ (m - v.T @ v)
        torch.testing.assert_close(w, before[name].double() + step, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whatever_the_optimizer_they_stay_through_an_experience(name: str) -> None:
    learner, strategy = classifier(), OSF(share=0.5, growth=0.25)
    seen: list[dict[str, Tensor]] = []
    held: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def note() -> None:
        seen.append(weights(learner))
        held.append((strategy.left, strategy.right))

    fit(module_of(learner, [strategy, AtEnd(note)], OPTIMIZERS[name]), toy_examples("class", 3))
    assert held[0] == ({}, {})
    ranks = [{u.shape[1] for u in left.values()} for left, _ in held]
    assert ranks == [set(), {2, 3}, {3, 4}]  # of sides 4 and 6: a half, then three quarters
    for number in (1, 2):
        left, right = held[number]
        for matrix, u in left.items():
            old, new = seen[number - 1][matrix], seen[number][matrix]
            torch.testing.assert_close(u.T @ new, u.T @ old, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(u.T @ old, right[matrix], atol=1e-5, rtol=1e-4)
            assert not torch.equal(old, new)
        frozen = [n for n, p in seen[number].items() if "body" in n and n not in left]
        assert all(torch.equal(seen[number - 1][n], seen[number][n]) for n in frozen)
        assert frozen


def test_preserving_all_leaves_the_head_alone() -> None:
    learner, seen = make_classifier(), []
    strategy = OSF(share=1.0, most=1.0)
    fit(module_of(learner, [strategy, AtEnd(lambda: seen.append(weights(learner)))]), toy_examples("class", 2))
    assert torch.equal(seen[0]["network.body.0.bias"], seen[1]["network.body.0.bias"])
    torch.testing.assert_close(seen[0]["network.body.0.weight"], seen[1]["network.body.0.weight"], atol=1e-5, rtol=0)
    assert not torch.equal(seen[0]["network.head.weight"], seen[1]["network.head.weight"])


def test_preserving_nothing_of_free_parameters_changes_nothing() -> None:
    learner, strategy, _ = begun(share=0.0, growth=0.0, others="free")
    gradients = {name: torch.randn(p.shape) for name, p in learner.named_parameters()}
    projected = strategy.project(learner, gradients, Position(1), runner=RUNNER)
    assert projected.keys() == gradients.keys()
    assert all(torch.equal(projected[name], g) for name, g in gradients.items())
    before = weights(learner)
    strategy.stepped(learner, Position(1), runner=RUNNER)
    assert all(torch.equal(p, before[name]) for name, p in weights(learner).items())


def test_a_network_without_linear_layers_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"OSF protects matrices of linear layers, and MLP trains none beside its head"
    ):
        OSF().attach(Classifier(MLP(n_inputs=4, hidden=[], n_outputs=3)))


@needs_extra
@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_every_linear_layer_of_a_transformer_is_protected(kind: str, tmp_path: Path) -> None:
    from tests.networks.test_adapters import inputs, network

    learner, strategy = Classifier(network(kind, "all", tmp_path)), OSF(from_start=True)
    strategy.begin(learner, None, runner=RUNNER)  # type: ignore[arg-type]
    assert len(strategy.left) == 2 * 6
    learner.network(inputs(learner.network)).square().sum().backward()  # type: ignore[arg-type]
    gradients = {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}
    projected = strategy.project(learner, gradients, Position(0), runner=RUNNER)
    assert projected.keys() == strategy.left.keys() | {"network.head.weight", "network.head.bias"}
    for name, u in strategy.left.items():
        assert (u.T @ projected[name]).abs().max() < 1e-4 * gradients[name].abs().max()


@needs_extra
def test_a_model_of_which_nothing_is_trained_is_refused(tmp_path: Path) -> None:
    from tests.networks.test_adapters import network

    with pytest.raises(ValueError, match=r"Transformer trains none beside its head"):
        OSF().attach(Classifier(network("vit", "head", tmp_path)))
