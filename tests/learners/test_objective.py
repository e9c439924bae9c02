import math

import pytest
import torch

from lifelong.learners.objective import Classification, Objective, Regression


def test_classification_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    target = Classification().encode(torch.tensor([1, 1]), 2).float()
    assert target.tolist() == [[0, 1], [0, 1]]
    assert Classification().loss(logits, target).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert Classification().score(logits, target).item() == 0.5
    torch.testing.assert_close(Classification().prediction(logits)[0], torch.tensor([0.25, 0.75]))


def test_regression_by_hand() -> None:
    output, target = torch.tensor([[1.0], [4.0]]), torch.tensor([[0.0], [2.0]])
    assert Regression().loss(output, target).item() == 2.5
    assert Regression().score(output, target).item() == -2.5
    assert Regression().encode(target, 0) is target
    assert Regression().prediction(output) is output


@pytest.mark.parametrize(("objective", "shape"), [(Classification(), (4, 3)), (Regression(), (4, 2))])
def test_score_directions_are_the_fisher_of_the_outputs(objective: Objective, shape: tuple[int, int]) -> None:
    output = torch.randn(shape, dtype=torch.float64)
    directions = objective.score_directions(output)
    found = torch.einsum("kqi,kqj->qij", directions, directions)
    if isinstance(objective, Classification):
        p = output.softmax(-1)
        expected = (torch.diag_embed(p) - p[:, :, None] * p[:, None]) / shape[0] ** 2
    else:
        # E[(2/n)^2 (o - y)^2] with Var(y) = 1/2
        expected = (torch.eye(2).double() * 2 / output.numel() ** 2).expand(4, 2, 2)
    torch.testing.assert_close(found, expected)


def test_samples_follow_the_predictive_distribution() -> None:
    uniform = torch.rand(20000, 3, dtype=torch.float64)
    logits = torch.tensor([0.1, 0.6, 0.3]).double().log().expand(20000, 3)
    drawn = Classification().sample(logits, uniform)
    assert torch.equal(drawn.sum(-1), torch.ones(20000).double())
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.1, 0.6, 0.3]).double(), atol=0.02, rtol=0)
    values = Regression().sample(torch.full_like(uniform, 7.0), uniform)
    assert values.mean().item() == pytest.approx(7, abs=0.02)
    assert values.var().item() == pytest.approx(0.5, rel=0.03)


def test_extreme_uniform_numbers_stay_finite() -> None:
    edges = torch.tensor([[0.0, 1.0]])
    assert Regression().sample(torch.zeros(1, 2), edges).isfinite().all()
    assert Classification().sample(torch.zeros(1, 2), edges).sum() == 1
