from typing import Any

import pytest
import torch
from torch import nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MatchingNet, ProtoNet, TransductiveProtoNet
from lifelong.networks import MLP
from strategies import EWC
from tests.toys import fit, make_learner, module_of, random_episode, toy_data


def test_prototypes_are_class_means_on_unbalanced_support() -> None:
    x = torch.tensor([[0.0, 0.0], [9.0, 9.0], [2.0, 4.0], [4.0, 2.0]])
    means = ProtoNet(nn.Identity()).adapt({}, x, torch.eye(2)[[0, 1, 0, 0]])
    assert means.tolist() == [[2.0, 2.0], [9.0, 9.0]]


def test_distances_by_hand() -> None:
    query, prototypes = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    euclidean = ProtoNet(nn.Identity()).predict({}, prototypes, query)
    cosine = ProtoNet(nn.Identity(), distance="cosine").predict({}, prototypes, query)
    warm = ProtoNet(nn.Identity(), temperature=0.5).predict({}, prototypes, query)
    torch.testing.assert_close(euclidean, torch.tensor([[-13.0, -16.0]]))
    torch.testing.assert_close(cosine, torch.tensor([[10 * (0.8 - 1), 10 * (0.6 - 1)]]))
    torch.testing.assert_close(warm, torch.tensor([[-6.5, -8.0]]))


def test_losses_do_not_depend_on_the_names_of_the_labels() -> None:
    learner, batch = make_learner("ProtoNet"), random_episode()
    renamed = torch.tensor([2, 0, 1])
    other = Episode(
        batch.support_x, renamed[batch.support_y], batch.query_x, renamed[batch.query_y], batch.weight, batch.n_way
    )
    params = learner.meta_parameters()
    losses = TaskRunner().losses(learner, params, batch)
    torch.testing.assert_close(TaskRunner().losses(learner, params, other), losses)
    wrong = Episode(batch.support_x, renamed[batch.support_y], batch.query_x, batch.query_y, batch.weight, 3)
    assert not torch.allclose(TaskRunner().losses(learner, params, wrong), losses)


@pytest.mark.parametrize(("norm", "inductive"), [("group", True), ("batch", False)])
def test_only_batch_norm_lets_queries_see_each_other(norm: str, inductive: bool) -> None:
    learner, batch = make_learner("ProtoNet", "image", norm), random_episode("image", n_tasks=1)
    params = learner.meta_parameters()
    changed = batch.clone()
    changed.query_x[:, 1:] += 3 * torch.randn_like(changed.query_x[:, 1:])
    (_, one), (_, two) = (TaskRunner().losses_and_outputs(learner, params, b) for b in (batch, changed))
    assert torch.allclose(one[0, 0], two[0, 0], atol=1e-5) is inductive
    assert not torch.allclose(one[0, 1:], two[0, 1:], atol=1e-3)


@pytest.mark.filterwarnings("ignore:.*configure_optimizers. returned .None.*")
@pytest.mark.parametrize("make", [ProtoNet, MatchingNet])
def test_a_network_without_parameters_needs_no_training(make: Any) -> None:
    data = toy_data(2)
    learner = make(nn.Identity())
    module = module_of(learner)
    results = fit(module, data).results
    assert not learner.is_trained
    batch = data.draw_for_evaluation("val", 1, range(8)).gather(torch.device("cpu"))
    scores = TaskRunner().scores(learner, {}, batch)
    assert results.matrix[1, 1] == pytest.approx(scores.mean().item(), abs=1e-6)


def test_a_strategy_has_nothing_to_protect_without_parameters() -> None:
    with pytest.raises(ValueError, match="ProtoNet trains nothing here, so EWC has nothing to protect"):
        fit(module_of(ProtoNet(nn.Identity()), [EWC(strength=1.0)]), toy_data(2))


def test_without_a_head_embeddings_are_answered() -> None:
    query, prototypes = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    plain = ProtoNet(nn.Identity())
    found = plain.predict_embedded({}, prototypes, query)
    assert found is not None
    assert torch.equal(found, plain.predict({}, prototypes, query))
    headed = ProtoNet(MLP(n_inputs=2, hidden=[], n_outputs=2))
    assert headed.predict_embedded(headed.meta_parameters(), prototypes, query) is None
    assert TransductiveProtoNet(nn.Identity()).predict_embedded({}, (prototypes, torch.ones(2)), query) is None
