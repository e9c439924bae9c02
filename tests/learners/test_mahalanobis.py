import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.learners import Mahalanobis, ProtoNet


def examples() -> tuple[Tensor, Tensor, Tensor]:
    """Unbalanced: classes of 4, 2 and 1 examples."""
    rng = torch.Generator().manual_seed(3)
    labels = torch.tensor([0, 0, 1, 0, 2, 1, 0])
    x = torch.randn(7, 3, generator=rng).double() + 2 * labels[:, None]
    return x, labels, torch.randn(5, 3, generator=rng).double()


def answer(learner: Mahalanobis, x: Tensor, y: Tensor, query: Tensor) -> Tensor:
    return learner.predict({}, learner.adapt({}, x, y), query)


def test_equals_numpy_on_unbalanced_support() -> None:
    x, labels, query = examples()
    found = answer(
        Mahalanobis(nn.Identity(), regulariser=0.4, temperature=0.5), x, torch.eye(3).double()[labels], query
    )
    points, overall = x.numpy(), np.cov(x.numpy().T)
    for n, count in enumerate((4, 2, 1)):
        own = points[labels.numpy() == n]
        within = np.cov(own.T) if count > 1 else np.zeros((3, 3))
        share = count / (count + 1)
        inverse = np.linalg.inv(share * within + (1 - share) * overall + 0.4 * np.eye(3))
        difference = query.numpy() - own.mean(0)
        expected = -0.5 * np.einsum("qd,de,qe->q", difference, inverse, difference)
        np.testing.assert_allclose(found[:, n].numpy(), expected, rtol=1e-10)


def test_without_covariance_it_is_a_prototypical_network() -> None:
    x, labels, query = examples()
    means = torch.randn(3, 3).double()
    state = (means, torch.eye(3).double().expand(3, 3, 3))
    expected = ProtoNet(nn.Identity()).predict({}, means, query)
    torch.testing.assert_close(Mahalanobis(nn.Identity()).predict({}, state, query), expected)
    # A regulariser that outweighs the covariances leaves the Euclidean distance divided by it.
    y = torch.eye(3).double()[labels]
    proto = ProtoNet(nn.Identity())
    expected = proto.predict({}, proto.adapt({}, x, y), query)
    found = 1e8 * answer(Mahalanobis(nn.Identity(), regulariser=1e8), x, y, query)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_all_examples_alike_have_no_covariance() -> None:
    x = torch.full((3, 2), 5.0).double()
    output = answer(Mahalanobis(nn.Identity(), regulariser=2.0), x, torch.eye(2).double()[[0, 1, 1]], x[:1] + 4)
    torch.testing.assert_close(output, torch.full((1, 2), -16.0).double())


def test_few_examples_give_finite_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    x, query = torch.randn(3, 20, requires_grad=True), torch.randn(2, 20)
    output = answer(Mahalanobis(nn.Identity()), x, torch.eye(3), query)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert output.isfinite().all()
    assert gradient.isfinite().all()


def test_a_direction_in_which_a_class_spreads_counts_less() -> None:
    x, y = torch.tensor([[-9.0, 0.0], [9.0, 0.0], [12.0, 3.0]]).double(), torch.eye(2).double()[[0, 0, 1]]
    along, across = answer(Mahalanobis(nn.Identity()), x, y, 5 * torch.eye(2).double())[:, 0]
    assert along > 10 * across
    assert across < -1


def test_a_regulariser_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--model.regulariser is -1.0"):
        Mahalanobis(nn.Identity(), regulariser=-1.0)
