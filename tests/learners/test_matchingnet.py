import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.learners import MatchingNet, ProtoNet


def answer(learner: MatchingNet, x: Tensor, y: Tensor, query: Tensor) -> Tensor:
    params = learner.meta_parameters()
    return learner.predict(params, learner.adapt(params, x, y), query)


def test_attention_by_hand_on_unbalanced_support() -> None:
    # Cosines of the query (3, 4) with the three examples: 0.6, 0.8 and -1; the first and the last are of class 0.
    x = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-6.0, -8.0]]).double()
    y = torch.eye(2).double()[[0, 1, 0]]
    found = answer(MatchingNet(nn.Identity(), temperature=2.0), x, y, torch.tensor([[3.0, 4.0]]).double())
    first, second, third = (math.exp(2 * cosine) for cosine in (0.6, 0.8, -1.0))
    expected = torch.tensor([[first + third, second]]).double() / (first + second + third)
    torch.testing.assert_close(found.exp(), expected)


def test_one_shot_is_a_prototypical_network_with_cosines() -> None:
    torch.manual_seed(0)
    x, query = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    proto = ProtoNet(nn.Identity(), distance="cosine", temperature=7.0)
    expected = proto.predict({}, proto.adapt({}, x, torch.eye(3).double()), query).log_softmax(-1)
    found = answer(MatchingNet(nn.Identity(), temperature=7.0), x, torch.eye(3).double(), query)
    torch.testing.assert_close(found, expected)


def test_an_impossible_class_has_a_finite_loss_and_a_gradient() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    empty = answer(MatchingNet(nn.Identity()), x, torch.eye(3)[[0, 1]], torch.tensor([[1.0, 0.0]]))
    assert empty.isfinite().all()
    assert empty[0, 2] < -80
    query = torch.tensor([[1.0, 0.1]], requires_grad=True)
    output = answer(MatchingNet(nn.Identity(), temperature=30.0), x, torch.eye(2), query)
    assert output[0, 1] < -50
    (gradient,) = torch.autograd.grad(F.cross_entropy(output, torch.tensor([1])), query)
    assert gradient.abs().max() > 1


def test_a_temperature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature is 0.0: it must be above 0"):
        MatchingNet(nn.Identity(), temperature=0.0)
