"""A deck: one list of the labelled examples of one or more pools, and examples drawn from it.

Shapes: ``M`` examples of the deck, ``B`` drawn ones, ``N`` ways, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.loaders import Drawn
from lifelong.data.pool import Pool


@dataclass(frozen=True, eq=False)
class Deck:
    """List the labelled examples of one or more pools.

    Args:
        pools: the pools.
        pool: ``(M,)`` index of each example's pool.
        index: ``(M,)`` index of the example in its pool.
        label: ``(M,)`` class among the classes of its pool.
        number: ``(M,)`` class in the whole stream.
    """

    pools: Sequence[Pool]
    pool: np.ndarray
    index: np.ndarray
    label: np.ndarray
    number: np.ndarray

    @staticmethod
    def of(pools: Sequence[Pool]) -> Deck:
        """Return the deck of all examples of the pools."""
        sizes = [[len(members) for members in pool.members] for pool in pools]
        return Deck(
            pools,
            np.repeat(np.arange(len(pools)), [sum(s) for s in sizes]),
            np.concatenate([members for pool in pools for members in pool.members]),
            np.concatenate([np.repeat(np.arange(len(s)), s) for s in sizes]),
            np.concatenate([np.repeat(pool.numbers, s) for pool, s in zip(pools, sizes, strict=True)]),
        )

    def __len__(self) -> int:
        return len(self.index)


class DrawnExamples(Drawn):
    """Store drawn examples of a deck.

    Args:
        deck: the deck.
        places: ``(B,)`` positions in the deck.
        labels: ``(B,)`` way of each example's class, or ``N`` if the class is not among the ways.
        ways: ``(B, N)`` stream-wide indices of the classes that compete in the softmax for each example.
    """

    def __init__(self, deck: Deck, places: np.ndarray, labels: np.ndarray, ways: np.ndarray) -> None:
        self.deck, self.places, self.labels, self.ways = deck, places, labels, ways

    def gather(self, device: torch.device) -> Episode:
        """Return the examples as tasks with an empty support set and one query each."""
        x = self._inputs(device)
        y, ways = (torch.from_numpy(array).to(device, non_blocking=True) for array in (self.labels, self.ways))
        weight = torch.ones(len(y), device=device)
        return Episode(x[:, None][:, :0], y[:, None][:, :0], x[:, None], y[:, None], weight, ways.shape[1], ways)

    def _inputs(self, device: torch.device) -> Tensor:
        index, pools = self.deck.index[self.places], self.deck.pools
        if len(pools) == 1:
            return pools[0].gather(index, device)
        pool_of = self.deck.pool[self.places]
        parts = [pools[p].gather(index[pool_of == p], device) for p in sorted(set(pool_of.tolist()))]
        # From the order by pools back to the order of the batch.
        order = np.argsort(np.argsort(pool_of, kind="stable"), kind="stable")
        return torch.cat(parts)[torch.from_numpy(order).to(device, non_blocking=True)]
