"""Attention with a prefix, by a loop over heads and queries."""

from __future__ import annotations

import torch
from torch import nn

from lifelong.networks.prefix_attention import attend, prefixes, tokens_before


def test_it_is_softmax_over_prefix_and_keys_of_each_head() -> None:
    rng = torch.Generator().manual_seed(0)
    module = nn.Identity()
    q, k, v = (
        torch.randn(2, 3, 4, 5, generator=rng) for _ in range(3)
    )  # two inputs, three heads, four of five numbers
    before = tuple(torch.randn(2, 2, 15, generator=rng) for _ in range(2))
    mask = torch.zeros(2, 1, 1, 4)
    mask[1, ..., -1] = torch.finfo().min
    with prefixes({module: before}):  # type: ignore[dict-item]
        found, _ = attend(module, q, k, v, mask, scaling=0.3)
    for n in range(2):
        for head in range(3):
            keys = torch.cat([before[0][n, :, 5 * head : 5 * head + 5], k[n, head]])
            values = torch.cat([before[1][n, :, 5 * head : 5 * head + 5], v[n, head]])
            for t in range(4):
                scores = 0.3 * keys @ q[n, head, t]
                scores = scores[:-1] if n == 1 else scores
                expected = scores.softmax(0) @ values[: len(scores)]
                torch.testing.assert_close(found[n, t, head], expected)


def test_without_a_prefix_it_is_torchs_own_attention() -> None:
    q, k, v = (torch.randn(2, 3, 4, 5) for _ in range(3))
    expected = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    with prefixes({nn.Identity(): (torch.ones(2, 1, 15), torch.ones(2, 1, 15))}):  # of another layer
        torch.testing.assert_close(attend(nn.Identity(), q, k, v)[0], expected)
    torch.testing.assert_close(attend(nn.Identity(), q, k[:, :1], v[:, :1])[0][:, :, 0], expected_of_one(q, k, v))


def expected_of_one(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The first head's answer where it alone has the keys."""
    return nn.functional.scaled_dot_product_attention(q[:, 0], k[:, 0], v[:, 0])


def test_prefixes_and_tokens_end_with_the_block() -> None:
    module, embeddings = nn.Identity(), nn.Identity()
    q, x = torch.randn(1, 1, 2, 3), torch.zeros(1, 2, 3)
    plain = attend(module, q, q, q)[0]
    with prefixes({module: (torch.ones(1, 1, 3), torch.ones(1, 1, 3))}):
        assert not torch.equal(attend(module, q, q, q)[0], plain)
    assert torch.equal(attend(module, q, q, q)[0], plain)
    with tokens_before(embeddings, torch.ones(1, 1, 3)):
        assert embeddings(x).tolist() == [[[1, 1, 1], [0, 0, 0], [0, 0, 0]]]
    assert embeddings(x) is x
