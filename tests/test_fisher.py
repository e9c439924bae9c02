import pytest
import torch
from torch import Tensor

from lifelong.batch import Episode
from lifelong.fisher import fisher_diagonal
from lifelong.learner import Learner
from lifelong.learners import IMAML
from lifelong.objective import Classification
from lifelong.outer import OuterLoop
from tests.toys import LEARNERS, make_learner, random_episode

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
    target = learner.over_tasks(learner.likelihood_targets, batch)
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
    learner.outer = OuterLoop(mapping=mapping)  # type: ignore[arg-type]
    found = fisher_diagonal(learner, [(batch, uniform)], labels)  # type: ignore[arg-type]
    expected = brute_force(learner, batch, labels)
    assert sum(f.sum() for f in expected.values()) > 1e-6
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in NO_LIKELIHOOD])
def test_the_empirical_one_of_a_task_is_the_squared_gradient_of_its_training_loss(name: str) -> None:
    learner, batch, uniform = case(name, "vector", n_tasks=1)
    params = {n: p for n, p in learner.meta_parameters().items() if p.requires_grad}
    expected = squares(learner.losses(learner.meta_parameters(), batch).sum(), list(params.values()))
    found = fisher_diagonal(learner, [(batch, uniform)], "empirical")
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
    found = fisher_diagonal(learner, [(batch, uniform)], "exact")
    torch.testing.assert_close(found, dict(zip(params, expected, strict=True)), rtol=1e-8, atol=1e-14)


def test_the_implicit_gradient_is_not_solved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, batch, uniform = case("IMAML", "vector")
    monkeypatch.delattr(IMAML, "implicit_gradient")
    fisher_diagonal(learner, [(batch, uniform)], "exact")


@pytest.mark.parametrize("labels", ["exact", "sampled", "empirical"])
@pytest.mark.parametrize(("name", "kind"), [*CASES, *OTHER_LIKELIHOODS])
def test_does_not_depend_on_the_batching(name: str, kind: str, labels: str) -> None:
    learner, batch, uniform = case(name, kind, n_tasks=4)
    parts = [
        (Episode(*(t[a:b] for t in batch.tasks()[:4]), batch.weight[a:b], batch.n_way), uniform[a:b])
        for a, b in ((0, 1), (1, 4))
    ]
    whole, split = (fisher_diagonal(learner, b, labels) for b in ([(batch, uniform)], parts))  # type: ignore[arg-type]
    torch.testing.assert_close(whole, split)


@pytest.mark.parametrize(("name", "kind"), [*CASES, *OTHER_LIKELIHOODS])
def test_sampled_converges_to_exact(name: str, kind: str) -> None:
    n = 4000
    learner, batch, _ = case(name, kind, n_tasks=1)
    many = Episode(*(t.expand(n, *t.shape[1:]) for t in batch.tasks()[:4]), torch.ones(n), batch.n_way)
    shape = learner.over_tasks(learner.likelihood_targets, many).shape
    sampled = fisher_diagonal(learner, [(many, torch.rand(shape, dtype=torch.float64))], "sampled")
    exact, empirical = (
        fisher_diagonal(learner, [(batch, torch.rand(1, *shape[1:]))], k) for k in ("exact", "empirical")
    )  # type: ignore[arg-type]
    flat = [torch.cat([f[k].flatten() for k in exact]) for f in (sampled, exact, empirical)]
    assert (flat[0] / n - flat[1]).norm() < 0.08 * flat[1].norm()
    assert (flat[2] - flat[1]).norm() > 0.2 * flat[1].norm()


def test_leaves_no_trace() -> None:
    learner, batch, uniform = case("MAML", "vector")
    learner.train()
    found = fisher_diagonal(learner, [(batch, uniform)], "exact")
    assert learner.network.training
    assert not any(f.requires_grad for f in found.values())
    assert all(p.grad is None for p in learner.parameters())
    assert all(name.startswith("network.") for name in found)
