"""Positions: which rows of a batch are the stream's own."""

from __future__ import annotations

import pytest

from lifelong.data.position import Position


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_the_ranks_share_all_tasks_of_a_step(world: int) -> None:
    own = [Position(0, n_tasks=5, rank=rank, world=world).n_own for rank in range(world)]
    assert sum(own) == 5
    assert max(own) - min(own) <= 1
