"""L2P: the nearest keys by hand, and what pulls them."""

from __future__ import annotations

import pytest
import torch

from lifelong.networks import L2P


def pool(pull: float = 0.5) -> L2P:
    """Three prompts of two vectors, whose keys point along the axes and between them."""
    prompts = L2P(n_prompts=3, n_chosen=2, length=2, pull=pull)
    prompts.build(n_features=2, n_layers=1)
    with torch.no_grad():
        prompts.keys.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, -1.0]]))
        prompts.pool.copy_(torch.arange(12.0).view(3, 2, 2))
    return prompts


QUERIES = torch.tensor([[4.0, 3.0], [-5.0, -12.0]])


def test_the_nearest_prompts_come_first() -> None:
    tokens = pool()(QUERIES).tokens
    # (0.8, 0.6) is nearest to the first key, then to the second; (-5, -12) / 13 to the third, then to the first.
    expected = torch.tensor([[[0, 1], [2, 3], [4, 5], [6, 7]], [[8, 9], [10, 11], [0, 1], [2, 3]]]).float()
    assert tokens is not None
    assert torch.equal(tokens.detach(), expected)
    assert pool()(QUERIES).prefixes == {}


def test_the_penalty_is_the_cosine_distance_to_chosen_keys() -> None:
    expected = [0.5 * ((1 - 0.8) + (1 - 0.6)), 0.5 * ((1 - 17 / (13 * 2**0.5)) + (1 + 5 / 13))]
    assert pool().penalty(QUERIES).tolist() == pytest.approx(expected)


def test_the_penalty_moves_chosen_keys_alone() -> None:
    prompts = pool()
    prompts.penalty(QUERIES[:1]).sum().backward()
    assert prompts.pool.grad is None
    assert prompts.keys.grad is not None
    assert [bool(row.any()) for row in prompts.keys.grad] == [True, True, False]
    step = prompts.keys - 0.1 * prompts.keys.grad
    cosine = torch.nn.functional.cosine_similarity
    assert (cosine(QUERIES[:1], step[:2]) > cosine(QUERIES[:1], prompts.keys[:2])).all()


def test_without_pull_there_is_no_penalty() -> None:
    assert pool(0.0).has_penalty is False
    assert pool(0.0).penalty(QUERIES).tolist() == [0, 0]


def test_more_chosen_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_chosen is 3, but there are 2 prompts: set n_prompts to more"):
        L2P(n_prompts=2, n_chosen=3)
