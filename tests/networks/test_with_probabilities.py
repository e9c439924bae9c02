import pytest
import torch
from torch import nn

from lifelong.learners import ProtoNet
from lifelong.networks import MLP, WithHead, WithProbabilities


def test_probabilities_stand_before_the_features() -> None:
    network = WithHead(nn.Flatten(), n_features=4, n_outputs=2)
    x = torch.randn(3, 2, 2)
    joined = WithProbabilities(network, weight=0.5)(x)
    assert torch.equal(joined[:, 2:], x.flatten(1))
    assert torch.allclose(joined[:, :2], 0.5 * network(x).softmax(-1))


def test_prototypes_use_what_the_head_knows() -> None:
    network = WithHead(nn.Identity(), n_features=2, n_outputs=2)
    with torch.no_grad():  # the head reads the first number, which is small
        network.head.weight.copy_(torch.tensor([[-100.0, 0.0], [100.0, 0.0]]))
        network.head.bias.zero_()
    support, query = torch.tensor([[-0.1, 0.2], [0.1, -0.2]]), torch.tensor([[0.1, 0.2], [-0.1, -0.2]])
    answers = []
    for weight in (0.0, 1.0):
        learner = ProtoNet(WithProbabilities(network, weight=weight))
        params = learner.meta_parameters()
        answers.append(learner.predict(params, learner.adapt(params, support, torch.eye(2)), query).argmax(-1).tolist())
    assert answers == [[0, 1], [1, 0]]


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="WithProbabilities needs a network with features and a head"):
        WithProbabilities(nn.Linear(2, 2))
    WithProbabilities(MLP(n_inputs=2, n_outputs=2))
