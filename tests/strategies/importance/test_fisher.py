from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import IMAML, Classifier
from lifelong.learners.base import Learner
from lifelong.learners.objective import Classification
from lifelong.networks import MLP
from lifelong.strategy import Chain, Strategy
from strategies.importance import sensitivity
from strategies.importance.fisher import fisher_diagonal
from tests.toys import LEARNERS, make_learner, random_episode, toy_examples

RUNNER = TaskRunner()

CASES = [("MAML", "vector"), ("ProtoNet", "vector"), ("MAML", "regression")]
OTHER_LIKELIHOODS = [("SimpleShot", "vector"), ("NoAdaptation", "vector"), ("NoAdaptation", "regression")]
"""Trained on more than the queries."""
NO_LIKELIHOOD = {
    "IMAML": "trained by the implicit gradient, while its outputs have the derivative of first order",
    "Reptile": "trained by the distance to where the inner loop ends, which is no likelihood of labels",
}
FAMILY = [
    (name, "vector")
    for name in (
        "ANIL",
        "BOIL",
        "CAVIA",
        "IMAML",
        "MetaSGD",
        "R2D2",
        "Reptile",
        "MatchingNet",
        "Mahalanobis",
        "RelationNet",
    )
]


def case(name: str, kind: str, n_tasks: int = 3) -> tuple[Learner, Episode, Tensor]:
    learner = make_learner(name, kind).double()
    batch = random_episode(kind, n_tasks).to(torch.float64)
    target = RUNNER.map(learner.likelihood_targets, learner, batch)
    return learner, batch, torch.rand(target.shape, dtype=torch.float64)


def squares(value: Tensor, params: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, params, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g.square() for g, p in zip(found, params, strict=True)]


def brute_force(learner: Learner, batch: Episode, labels: str) -> dict[str, Tensor]:
    params = learner.meta_parameters()
    trained = {n: p for n, p in params.items() if p.requires_grad}
    total = [torch.zeros_like(p) for p in trained.values()]

    def add(squared: list[Tensor], weight: float) -> None:
        for t, s in zip(total, squared, strict=True):
            t += weight * s

    for sx, sy, qx, qy, _ in zip(*batch.tasks(), strict=True):
        sy, qy = (learner.objective.encode(y, batch.n_way).double() for y in (sy, qy))
        out = learner.predict(params, learner.adapt(params, sx, sy), qx)
        if labels == "empirical":
            add(squares(learner.objective.loss(out, qy), list(trained.values())), 1)
        elif isinstance(learner.objective, Classification):
            logs = out.log_softmax(-1)
            for q in range(len(out)):
                for label in range(out.shape[1]):
                    probability = logs[q, label].exp().item()
                    add(squares(logs[q, label] / len(out), list(trained.values())), probability)
        else:
            # y = out + e with Var(e) = 1/2, the loss's gradient is (2/n) e J
            for value in out.flatten():
                add(squares(value, list(trained.values())), 2 / out.numel() ** 2)
    return dict(zip(trained, total, strict=True))


@pytest.mark.parametrize("mapping", ["vmap", "loop"])
@pytest.mark.parametrize("labels", ["exact", "empirical"])
@pytest.mark.parametrize(("name", "kind"), [*CASES, *FAMILY])
def test_equals_a_brute_force_loop(name: str, kind: str, labels: str, mapping: str) -> None:
    learner, batch, uniform = case(name, kind)
    runner = TaskRunner(plan=mapping)  # type: ignore[arg-type]
    found = fisher_diagonal(learner, [(batch, uniform)], labels, runner)  # type: ignore[arg-type]
    expected = brute_force(learner, batch, labels)
    assert sum(f.sum() for f in expected.values()) > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in NO_LIKELIHOOD])
def test_the_empirical_fisher_squares_the_training_gradient(name: str) -> None:
    learner, batch, uniform = case(name, "vector", n_tasks=1)
    params = {n: p for n, p in learner.meta_parameters().items() if p.requires_grad}
    expected = squares(RUNNER.losses(learner, learner.meta_parameters(), batch).sum(), list(params.values()))
    found = fisher_diagonal(learner, [(batch, uniform)], "empirical", RUNNER)
    assert sum(f.sum() for f in expected) > 1e-6
    torch.testing.assert_close(found, dict(zip(params, expected, strict=True)), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize(("name", "kind"), OTHER_LIKELIHOODS)
def test_the_exact_one_is_over_the_labels_that_training_knows(name: str, kind: str) -> None:
    learner, batch, uniform = case(name, kind, n_tasks=1)
    params = {n: p for n, p in learner.meta_parameters().items() if p.requires_grad}
    features = learner.network(torch.cat([batch.support_x[0], batch.query_x[0]]))
    out = learner.classifier(features) if name == "SimpleShot" else features  # type: ignore[operator]
    expected = [torch.zeros_like(p) for p in params.values()]
    for row in out:
        values, chances = (row, [2.0]) if kind == "regression" else (row.log_softmax(-1), row.softmax(-1).tolist())
        for value, chance in zip(values, chances, strict=True):
            for total, square in zip(expected, squares(value / len(out), list(params.values())), strict=True):
                total += chance * square
    assert out.shape == (12, {"SimpleShot": 12}.get(name, 1 if kind == "regression" else 3))
    found = fisher_diagonal(learner, [(batch, uniform)], "exact", RUNNER)
    torch.testing.assert_close(found, dict(zip(params, expected, strict=True)), rtol=1e-8, atol=1e-14)


def test_the_implicit_gradient_is_not_solved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, batch, uniform = case("IMAML", "vector")
    monkeypatch.delattr(IMAML, "implicit_gradient")
    fisher_diagonal(learner, [(batch, uniform)], "exact", RUNNER)


@pytest.mark.parametrize("labels", ["exact", "sampled", "empirical"])
@pytest.mark.parametrize(("name", "kind"), [*CASES, *OTHER_LIKELIHOODS])
def test_does_not_depend_on_the_batching(name: str, kind: str, labels: str) -> None:
    learner, batch, uniform = case(name, kind, n_tasks=4)
    parts = [
        (Episode(*(t[a:b] for t in batch.tasks()[:4]), batch.weight[a:b], batch.n_way), uniform[a:b])
        for a, b in ((0, 1), (1, 4))
    ]
    whole, split = (fisher_diagonal(learner, b, labels, RUNNER) for b in ([(batch, uniform)], parts))  # type: ignore[arg-type]
    torch.testing.assert_close(whole, split)


@pytest.mark.parametrize(("name", "kind"), [*CASES, *OTHER_LIKELIHOODS])
def test_sampled_converges_to_exact(name: str, kind: str) -> None:
    n = 4000
    learner, batch, _ = case(name, kind, n_tasks=1)
    many = Episode(*(t.expand(n, *t.shape[1:]) for t in batch.tasks()[:4]), torch.ones(n), batch.n_way)
    shape = RUNNER.map(learner.likelihood_targets, learner, many).shape
    sampled = fisher_diagonal(learner, [(many, torch.rand(shape, dtype=torch.float64))], "sampled", RUNNER)
    exact, empirical = (
        fisher_diagonal(learner, [(batch, torch.rand(1, *shape[1:]))], k, RUNNER) for k in ("exact", "empirical")
    )  # type: ignore[arg-type]
    flat = [torch.cat([f[k].flatten() for k in exact]) for f in (sampled, exact, empirical)]
    assert (flat[0] / n - flat[1]).norm() < 0.08 * flat[1].norm()
    assert (flat[2] - flat[1]).norm() > 0.2 * flat[1].norm()


def test_leaves_no_trace() -> None:
    learner, batch, uniform = case("MAML", "vector")
    learner.train()
    found = fisher_diagonal(learner, [(batch, uniform)], "exact", RUNNER)
    assert learner.network.training
    assert not any(f.requires_grad for f in found.values())
    assert all(p.grad is None for p in learner.parameters())
    assert all(name.startswith("network.") for name in found)


# -- labelled examples ------------------------------------------------------------------------------------------------


class Twice(nn.Module):
    """One layer that each example goes through twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.layer(x).tanh()))  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Two layers with the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 12)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.two(self.one(x).tanh()))  # type: ignore[no-any-return]


class Pieces(nn.Module):
    """Layers that see several rows of each example."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(2, 3), nn.Linear(3, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.unflatten(-1, (2, 2))).tanh().sum(-2))  # type: ignore[no-any-return]


def scaled() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 12))


def half_frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 12))
    network[0].requires_grad_(False)
    network[4].get_parameter("weight").requires_grad_(False)
    return network


LINEAR = {"mlp": lambda: MLP(n_inputs=4, hidden=[6, 5], n_outputs=12), "half frozen": half_frozen}
OTHERS = {"scaled": scaled, "twice": Twice, "tied": Tied, "pieces": Pieces}
"""Networks in which the gradient of one example is not one outer product for each layer."""


def example_case(network: str, loss: Any = "softmax", n: int = 6) -> tuple[Learner, Episode, Tensor]:
    """Examples of the third of three experiences, of which two are told apart from fewer ways."""
    torch.manual_seed(3)
    learner = Classifier((LINEAR | OTHERS)[network](), loss=loss).double()
    data = toy_examples("class", 3)
    batch = data.draw(data.stream.experiences[2], "fisher", range(n)).gather(torch.device("cpu")).to(torch.float64)
    assert batch.classes is not None
    for row in (1, 4):
        batch.classes[row, :3] = -1
    return learner, batch, torch.rand(n, 1, batch.n_way, dtype=torch.float64)


def outputs_of(learner: Learner, batch: Episode, row: int) -> Tensor:
    """The logits of the ways that an example has."""
    assert batch.classes is not None
    ways = batch.classes[row]
    return learner.network(batch.query_x[row])[0, ways[ways >= 0]]  # type: ignore[no-any-return]


def expected_by_hand(learner: Learner, batch: Episode, loss: str) -> dict[str, Tensor]:
    params = {n: p for n, p in learner.meta_parameters().items() if p.requires_grad}
    total = [torch.zeros_like(p) for p in params.values()]
    for row in range(len(batch)):
        out = outputs_of(learner, batch, row)
        if loss == "softmax":
            likelihoods = [(log, log.exp()) for log in out.log_softmax(-1)]
        else:
            likelihoods = [(F.logsigmoid(s * o), torch.sigmoid(s * o)) for o in out for s in (1, -1)]
        for log, chance in likelihoods:
            for t, square in zip(total, squares(log, list(params.values())), strict=True):
                t += chance.detach() * square
    return dict(zip(params, total, strict=True))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("network", [*LINEAR, *OTHERS])
def test_of_labelled_examples_equals_a_brute_force_loop(network: str, loss: str) -> None:
    learner, batch, uniform = example_case(network, loss)
    found = fisher_diagonal(learner, [(batch, uniform)], "exact", RUNNER)
    torch.testing.assert_close(found, expected_by_hand(learner, batch, loss), rtol=1e-8, atol=1e-14)
    assert sum(float(f.sum()) for f in found.values()) > 1e-3


@pytest.mark.parametrize("network", LINEAR)
@pytest.mark.parametrize("labels", ["exact", "sampled", "empirical"])
def test_of_linear_layers_needs_no_gradient_of_each_example(
    network: str, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, batch, uniform = example_case(network)
    one_by_one = [(batch.take(slice(i, i + 1)), uniform[i : i + 1]) for i in range(len(batch))]
    expected = fisher_diagonal(learner, one_by_one, labels, RUNNER)
    monkeypatch.delattr(sensitivity, "_of_each_task")
    found = fisher_diagonal(learner, [(batch, uniform)], labels, RUNNER)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)
    learner.network.train()
    assert not any(module._forward_hooks for module in learner.modules())


def test_routed_examples_use_the_routed_parameters() -> None:
    class Double(Strategy):
        def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
            return {name: 2 * p for name, p in params.items()}

    learner, batch, uniform = example_case("mlp")
    runner = Chain([Double()]).bind(learner, RUNNER)
    found = fisher_diagonal(learner, [(batch, uniform)], "exact", runner)
    plain, _, _ = example_case("mlp")
    with torch.no_grad():
        for p in plain.parameters():
            p *= 2
    expected = {n: 4 * f for n, f in expected_by_hand(plain, batch, "softmax").items()}
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)


def test_the_exact_one_of_convolutions_in_the_layout_of_a_cpu() -> None:
    learner, batch = make_learner("ProtoNet", "image").double(), random_episode("image").to(torch.float64)
    expected = fisher_diagonal(learner, [(batch, torch.rand(3, 6, 3))], "exact", RUNNER)
    learner.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = fisher_diagonal(learner, [(batch, torch.rand(3, 6, 3))], "exact", RUNNER)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)
