import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import RelationNet
from lifelong.learners.objective import RelationScore
from lifelong.networks import MLP, Conv4, WithHead
from strategies import EWC, Replay
from strategies.importance.fisher import fisher_diagonal
from tests.toys import fit, random_episode, toy_data


def by_hand(**settings: str) -> RelationNet:
    """A relation module that scores a pair by ``c₁ + 10 c₂ − q₁``."""
    learner = RelationNet(nn.Identity(), feature_shape=[2], **settings).double()  # type: ignore[arg-type]
    learner.relation = nn.Linear(4, 1).double()
    with torch.no_grad():
        learner.relation.weight.copy_(torch.tensor([[1.0, 10.0, -1.0, 0.0]]))  # type: ignore[union-attr, operator]
        learner.relation.bias.zero_()  # type: ignore[union-attr, operator]
    return learner


def on_maps(norm: str = "group", **settings: str) -> RelationNet:
    torch.manual_seed(1)
    network = Conv4(n_filters=8, norm=norm, image_size=16, readout="maps", n_halvings=2)  # type: ignore[arg-type]
    return RelationNet(network, width=8, norm=norm, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("aggregate", "class_0"), [("mean", [1.0, 0.2]), ("sum", [3.0, 0.6])])
def test_scores_by_hand_on_unbalanced_support(aggregate: str, class_0: list[float]) -> None:
    x = torch.tensor([[0.0, 0.1], [1.0, -0.3], [1.0, 0.2], [2.0, 0.3]]).double()
    learner, y = by_hand(aggregate=aggregate), torch.eye(2).double()[[0, 1, 0, 0]]
    params = learner.meta_parameters()
    state = learner.adapt(params, x, y)
    torch.testing.assert_close(state, torch.tensor([class_0, [1.0, -0.3]]).double())
    query = torch.tensor([[0.5, 7.0], [-2.0, 8.0], [0.0, 9.0]]).double()
    found = learner.predict(params, state, query)
    pairs = [[c[0] + 10 * c[1] - q[0] for c in state.tolist()] for q in query.tolist()]
    torch.testing.assert_close(found, torch.tensor(pairs).double().sigmoid())


def test_the_given_parameters_of_the_relation_module_are_used() -> None:
    learner = by_hand()
    params = learner.meta_parameters()
    assert {"relation.weight", "relation.bias"} <= params.keys()
    x = torch.eye(2).double()
    other = {**params, "relation.bias": params["relation.bias"] + 1}
    before, after = (learner.predict(p, learner.adapt(p, x, x), x) for p in (params, other))
    torch.testing.assert_close(after.logit(), before.logit() + 1)


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_maps_under_vmap_and_in_the_loop(norm: str) -> None:
    learner, batch = on_maps(norm).double(), random_episode("image", n_tasks=2).to(torch.float64)
    classes = learner.adapt(learner.meta_parameters(), batch.support_x[0], torch.eye(3)[batch.support_y[0]].double())
    assert classes.shape == (3, 8, 4, 4)
    found = []
    for plan in ("vmap", "loop"):
        runner = TaskRunner(plan=plan)
        losses = runner.losses(learner, learner.meta_parameters(), batch)
        found.append((losses, torch.autograd.grad(losses.sum(), list(learner.parameters()))))
    torch.testing.assert_close(*found, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("size", "n_halvings"), [(16, 4), (16, 3), (28, 2), (20, 2)])
def test_maps_of_any_size_have_a_relation_module(size: int, n_halvings: int) -> None:
    network = Conv4(n_filters=8, norm="group", image_size=size, readout="maps", n_halvings=n_halvings)
    learner = RelationNet(network, width=8)
    params, x = learner.meta_parameters(), torch.randn(3, 1, size, size)
    scores = learner.predict(params, learner.adapt(params, x, torch.eye(3)), x)
    assert scores.shape == (3, 3)
    assert ((scores > 0) & (scores < 1)).all()


def test_queries_are_independent_without_batch_norm() -> None:
    x = random_episode("image", n_tasks=1)
    for norm, inductive in (("group", True), ("batch", False)):
        learner = on_maps(norm)
        params = learner.meta_parameters()
        state = learner.adapt(params, x.support_x[0], torch.eye(3)[x.support_y[0]])
        whole, part = (learner.predict(params, state, q) for q in (x.query_x[0], x.query_x[0, :2]))
        assert torch.allclose(whole[:2], part, atol=1e-6) is inductive


def test_trains_on_maps_with_strategies() -> None:
    for plugin in (EWC(), Replay()):
        evaluator = fit(on_maps(), toy_data(2, "image"), [plugin])
        assert torch.from_numpy(evaluator.matrix()).isfinite().all()


def test_the_objective_by_hand() -> None:
    objective = RelationScore()
    target = objective.encode(torch.tensor([1, 0]), 2).double()
    output = torch.tensor([[0.25, 0.75], [0.1, 0.3]]).double()
    assert objective.loss(output, target).item() == pytest.approx((2 * 0.25**2 + 0.9**2 + 0.3**2) / 4)
    assert objective.score(output, target).item() == 0.5
    torch.testing.assert_close(objective.prediction(output), torch.tensor([[0.25, 0.75], [0.25, 0.75]]).double())
    assert objective.prediction(torch.zeros(1, 2)).isfinite().all()


def test_the_fisher_is_that_of_a_gaussian_around_every_score() -> None:
    torch.manual_seed(0)
    learner, batch = RelationNet(MLP(n_inputs=4, hidden=[5], n_outputs=3), width=4).double(), random_episode(n_tasks=1)
    batch = batch.to(torch.float64)
    found = fisher_diagonal(learner, [(batch, torch.rand(1, 6, 3))], "exact", TaskRunner())
    params = learner.meta_parameters()
    output: Tensor = TaskRunner().outputs(learner, params, batch)[0]
    for name in ("network.head.weight", "relation.head.weight"):
        expected = torch.zeros_like(params[name])
        for value in output.flatten():
            (gradient,) = torch.autograd.grad(value, params[name], retain_graph=True)
            expected += 2 / output.numel() ** 2 * gradient.square()
        assert expected.sum() > 1e-8
        torch.testing.assert_close(found[name], expected)


def test_features_of_unknown_or_impossible_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"Identity does not tell that of its inputs: give --model.feature_shape"):
        RelationNet(nn.Identity())
    with pytest.raises(
        ValueError, match=r"vectors \(D,\) or maps \(C, H, W\), but Identity has features of shape \(2, 3\)"
    ):
        RelationNet(nn.Identity(), feature_shape=[2, 3])
    body = WithHead(nn.Flatten(), n_features=4, n_outputs=3)
    assert RelationNet(body, feature_shape=[3]).relation(torch.zeros(2, 6)).shape == (2, 1)


def test_mode_and_running_statistics_of_the_network_stay() -> None:
    network = Conv4(n_filters=8, norm="running", image_size=16, readout="maps")
    before = {name: b.clone() for name, b in network.named_buffers()}
    RelationNet(network, width=8)
    assert network.training
    assert all(torch.equal(b, before[name]) for name, b in network.named_buffers())
