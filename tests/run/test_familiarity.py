"""How far a query is from every class, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.learners import ProtoNet
from lifelong.networks import Conv4
from lifelong.run.familiarity import Familiarity


def test_the_threshold_is_that_of_examples_left_out_by_hand() -> None:
    x = torch.tensor([[0.0], [2.0], [7.0], [10.0], [11.0], [50.0]])
    familiarity = Familiarity.of(ProtoNet(nn.Identity()), {}, x, torch.tensor([0, 0, 0, 1, 1, 2]))
    assert familiarity is not None
    # Left out: 0 from 4.5, 2 from 3.5, 7 from 1, times √(1 − 1/9); 10 from 11 and back, times √(1 − 1/4); not 50.
    farthest, second = 6 * (8 / 9) ** 0.5, 4.5 * (8 / 9) ** 0.5
    assert familiarity.threshold == pytest.approx(second + 0.8 * (farthest - second))  # 95 % of the way of five
    assert familiarity.means.flatten().tolist() == [3.0, 10.5, 50.0]
    far = familiarity.far(torch.tensor([[3.0], [6.0], [-3.0], [44.0]])) * familiarity.threshold
    assert far.tolist() == pytest.approx([0.0, 3.0, 6.0, 6.0])


@pytest.mark.parametrize(("n_shot", "within"), [(2, 0.05), (5, 0.02), (20, 0.02)])  # of 2 there are but 10 distances
def test_about_95_percent_of_further_examples_are_known(n_shot: int, within: float) -> None:
    rng = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(40):
        centres = 20 * torch.randn(10, 6, generator=rng)
        y = torch.arange(10).repeat_interleave(n_shot)
        x = centres[y] + torch.randn(len(y), 6, generator=rng)
        familiarity = Familiarity.of(ProtoNet(nn.Identity()), {}, x, y)
        assert familiarity is not None
        further = centres.repeat(20, 1) + torch.randn(200, 6, generator=rng)
        shares.append((familiarity.far(further) <= 1).float().mean().item())
    assert sum(shares) / len(shares) == pytest.approx(0.95, abs=within)


def test_nobody_can_tell_from_one_example_or_from_batches() -> None:
    one = torch.eye(2)
    assert Familiarity.of(ProtoNet(nn.Identity()), {}, one, torch.arange(2)) is None
    equal = torch.ones(4, 2)
    assert Familiarity.of(ProtoNet(nn.Identity()), {}, equal, torch.tensor([0, 0, 1, 1])) is None
    learner = ProtoNet(Conv4(n_filters=4, image_size=16, norm="batch"))
    images = torch.rand(4, 1, 16, 16)
    assert Familiarity.of(learner, learner.meta_parameters(), images, torch.tensor([0, 0, 1, 1])) is None
