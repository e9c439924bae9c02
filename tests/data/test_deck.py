"""Decks: the examples of several pools in one row, drawn in any order."""

from __future__ import annotations

import numpy as np
import torch

from lifelong.data.deck import Deck, DrawnExamples
from lifelong.data.pool import Pool

CPU = torch.device("cpu")


def pools() -> list[Pool]:
    """Two pools of two classes; the input of an example is its number over both."""
    first = Pool(torch.arange(5.0)[:, None], [np.array([0, 2]), np.array([1, 3, 4])], ["a", "b"])
    second = Pool(torch.arange(5.0, 8)[:, None], [np.array([2]), np.array([0, 1])], ["c", "d"])
    second.numbers = np.array([2, 3])
    return [first, second]


def test_a_deck_has_every_example_once_with_its_class() -> None:
    deck = Deck.of(pools())
    assert len(deck) == 8
    assert deck.label.tolist() == [0, 0, 1, 1, 1, 0, 1, 1]
    assert deck.number.tolist() == [0, 0, 1, 1, 1, 2, 3, 3]
    assert list(zip(deck.pool.tolist(), deck.index.tolist(), strict=True)) == [
        (0, 0), (0, 2), (0, 1), (0, 3), (0, 4), (1, 2), (1, 0), (1, 1)
    ]  # fmt: skip


def test_examples_of_several_pools_keep_the_order_of_the_batch() -> None:
    deck, places = Deck.of(pools()), np.array([7, 0, 5, 3, 6, 1])
    ways = np.tile(np.arange(4), (6, 1))
    batch = DrawnExamples(deck, places, deck.number[places], ways).gather(CPU)
    assert batch.query_x.flatten().tolist() == [6, 0, 7, 3, 5, 2]
    assert batch.query_y.flatten().tolist() == [3, 0, 2, 1, 3, 0]
    assert batch.support_x.shape == (6, 0, 1)
    assert batch.n_way == 4
