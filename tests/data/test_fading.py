"""Which domain an example of a stream without boundaries comes from."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.data.fading import Fading

N = 40_000


def shares(fading: Fading, stretch: int, domain: int) -> np.ndarray:
    """The share of a domain in each eighth of a stretch."""
    return np.array([(part == domain).mean() for part in np.split(fading.domains(stretch), 8)])


@pytest.mark.parametrize(
    ("fade", "after"),
    [  # the mean over each eighth of ½ − (distance to the end) / fade, where that is positive
        (0.0, [0, 0, 0, 0, 0, 0, 0, 0]),
        (0.5, [0, 0, 0, 0, 0, 0, 1 / 8, 3 / 8]),
        (1.0, [0, 0, 0, 0, 1 / 16, 3 / 16, 5 / 16, 7 / 16]),
    ],
)
def test_the_share_of_the_next_domain_rises_linearly(fade: float, after: list[float]) -> None:
    fading, expected = Fading(3, lambda stretch: N, fade=fade, seed=0), np.array(after)
    bound = 4 * np.sqrt(expected * (1 - expected) / (N / 8))  # of a binomial count
    assert (np.abs(shares(fading, 1, 2) - expected) <= bound).all()
    assert (np.abs(shares(fading, 1, 0) - expected[::-1]) <= bound[::-1]).all()
    assert shares(fading, 0, 0) == pytest.approx(1 - expected, abs=bound.max())
    assert shares(fading, 2, 2) == pytest.approx(1 - expected[::-1], abs=bound.max())


@pytest.mark.parametrize("fade", [0.0, 0.3, 1.0])
def test_the_stream_begins_and_ends_with_one_domain_alone(fade: float) -> None:
    fading = Fading(3, lambda stretch: N, fade=fade, seed=1)
    pure = round(N * (1 - fade / 2))
    assert set(fading.domains(0)[:pure]) == {0}
    assert set(fading.domains(2)[-pure:]) == {2}
    assert set(fading.domains(0)) == ({0, 1} if fade else {0})
    assert set(fading.domains(2)) == ({1, 2} if fade else {2})


def test_a_domain_is_drawn_as_often_as_a_stretch_is_long() -> None:
    fading = Fading(4, lambda stretch: N, fade=0.8, seed=2)
    counts = np.bincount(np.concatenate([fading.domains(stretch) for stretch in range(4)]))
    assert np.abs(counts - N).max() < 4 * np.sqrt(4 * N * 0.1 * 0.25)  # at most a quarter of p (1 − p) in 4 × 0.1 N


def test_seed_and_place_alone_decide() -> None:
    one, again, other = (Fading(4, lambda stretch: N, fade=1.0, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.domains(1), again.domains(1))
    assert not np.array_equal(one.domains(1), other.domains(1))
    assert not np.array_equal(one.domains(1), one.domains(2) - 1)


def test_turns_count_a_domain_over_the_whole_stream() -> None:
    sizes = [40, 70, 50, 30, 60]
    fading, seen = Fading(5, sizes.__getitem__, fade=1.0, seed=3), [0] * 5
    for stretch in range(5):
        expected = []
        for domain in fading.domains(stretch):
            expected.append(seen[domain])
            seen[domain] += 1
        assert fading.turns(stretch).tolist() == expected
    assert sum(seen) == sum(sizes)
