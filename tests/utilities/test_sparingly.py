"""What takes time is done as often as it is worth."""

import doctest

import pytest

from lifelong.utilities import sparingly
from lifelong.utilities.sparingly import Sparingly


@pytest.mark.parametrize(("cost", "share"), [(0.1, 0.05), (1.0, 0.05), (3.0, 0.2)])
def test_no_more_than_its_share_of_the_time_is_spent(cost: float, share: float) -> None:
    now, spent = 0.0, 0.0

    def act() -> None:
        nonlocal now, spent
        now, spent = now + cost, spent + cost

    due = Sparingly(share, clock=lambda: now)
    for _ in range(20_000):
        due(act)
        now += 0.05
    assert spent <= share * now + cost
    assert spent >= share * now / 2


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(sparingly).failed == 0
