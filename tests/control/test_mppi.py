from __future__ import annotations

import torch

from lifelong.control.mppi import soft_minimum


def test_equal_costs_weigh_equally_and_none_overflow() -> None:
    torch.testing.assert_close(soft_minimum(torch.ones(1, 4), 0.1), torch.full((1, 4), 0.25))
    weights = soft_minimum(torch.tensor([[1e30, 2e30, 3e30]]), 0.1)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1))
    assert weights[0].argmax() == 0
