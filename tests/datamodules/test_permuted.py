"""Permuted images: one permutation for all images of a domain, and none shared by two seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules import Glyphs, Permuted, Sinusoids
from lifelong.data.domain import Domain
from lifelong.data.images import fit_images
from lifelong.data.sampling import generator
from lifelong.data.source import Source


def source(n_styles: int = 2) -> Glyphs:
    return Glyphs(styles=["strokes", "textures"][:n_styles], n_classes=3, n_examples=2, image_size=12)


def test_all_images_share_one_permutation_of_their_pixels() -> None:
    plain, shuffled = source().domains(), Permuted(source(), seed=3).domains()
    assert [d.name for d in shuffled] == ["permuted strokes", "permuted textures"]
    for before, after in zip(plain, shuffled, strict=True):
        assert after.x.shape == before.x.shape
        assert after.x.dtype == torch.uint8
        assert np.array_equal(after.y, before.y)
    # Pixels are told apart by their values over all images: what moved one image moved the others alike.
    before, after = (torch.cat([d.x for d in domains]).flatten(1) for domains in (plain, shuffled))
    order = [int((before == column[:, None]).all(0).nonzero()[0, 0]) for column in after.T]
    assert torch.equal(before[:, order], after)
    assert not torch.equal(before, after)
    assert torch.equal(before.sort(1).values, after.sort(1).values)


def test_the_seed_alone_decides_the_permutation() -> None:
    first, again, other = (Permuted(source(), seed=s).domains()[0].x for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_only_images_can_be_permuted() -> None:
    with pytest.raises(ValueError, match=r"frequency 1 cannot be permuted: its inputs have shape \(1,\)"):
        Permuted(Sinusoids(frequencies=(1.0,))).domains()


def test_images_are_brought_to_size_before_they_are_shuffled() -> None:
    large = Glyphs(styles=["strokes"], n_classes=3, n_examples=2, image_size=24)
    (shuffled,) = Permuted(large, image_size=12).domains()
    order = torch.from_numpy(generator(0, "pixels", 0).permutation(144))
    whole = large.domains()[0].x
    assert torch.equal(shuffled.x.flatten(2), fit_images(whole, (1, 12, 12)).flatten(2)[..., order])


def orders(domains: list[Domain]) -> list[tuple[int, ...]]:
    """The permutation of each domain, read off images that have every pixel's number in it."""
    return [tuple(domain.x[0, 0].flatten().int().tolist()) for domain in domains]


class Counting(Source):
    """One image whose pixels are counted."""

    def domains(self) -> list[Domain]:
        return [Domain("count", torch.arange(144.0).reshape(1, 1, 12, 12), np.zeros(1, np.int64), ["a"])]


def test_a_permutation_depends_on_its_seed_and_number_alone() -> None:
    five, three = (orders(Permuted(Counting(), seed=4, n_domains=n).domains()) for n in (5, 3))
    assert five[:3] == three
    assert five[0] == orders(Permuted(Counting(), seed=4).domains())[0]
    assert sorted(five[0]) == list(range(144))
    assert five[0] != tuple(range(144))


def test_neighbouring_seeds_share_no_permutation() -> None:
    found = [order for seed in range(4) for order in orders(Permuted(Counting(), seed=seed, n_domains=10).domains())]
    assert len(set(found)) == 40


def test_permutations_of_a_domain_share_its_split() -> None:
    domains = Permuted(source(), seed=4, n_domains=3).domains()
    names = [f"{style} permutation {number}" for number in range(3) for style in ("strokes", "textures")]
    assert [domain.name for domain in domains] == names
    assert [domain.origin for domain in domains] == ["strokes", "textures"] * 3
    assert [domain.origin for domain in Permuted(source()).domains()] == [None, None]


def test_the_seed_null_is_that_of_the_run() -> None:
    permuted = Permuted(Counting(), seed=None, n_domains=2)
    assert orders(permuted.with_seed(3).domains()) == orders(Permuted(Counting(), seed=3, n_domains=2).domains())
    assert permuted.seed is None
    given = Permuted(Counting(), seed=0)
    assert given.with_seed(3) is given
    with pytest.raises(ValueError, match=r"Permuted has the seed null, .* there is no run here: give it a seed"):
        permuted.domains()


def test_zeros_around_an_image_are_shuffled_with_it() -> None:
    (padded,) = Permuted(source(1), pad=2).domains()
    assert padded.x.shape[-2:] == (16, 16)
    assert padded.x.dtype == torch.uint8
    border = torch.ones(16, 16, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    order = torch.from_numpy(generator(0, "pixels", 0).permutation(256))
    shuffled = padded.x.flatten(2)
    assert (shuffled[..., border.flatten()[order]] == 0).all()
    plain = source(1).domains()[0].x
    assert torch.equal(shuffled.sort(-1).values[..., 112:], plain.flatten(2).sort(-1).values)
    with pytest.raises(ValueError, match="pad is -1: it must be a whole number, at least 0"):
        Permuted(source(), pad=-1)


def test_the_source_of_many_permutations_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, loaded = source(), []
    (first, _) = made.domains()
    monkeypatch.setattr(made, "domains", lambda: loaded.append(1) or [first])
    assert len(Permuted(made, n_domains=5).domains()) == 5
    assert loaded == [1]


def test_no_permutation_is_refused() -> None:
    with pytest.raises(ValueError, match="n_domains is 0: it must be a whole number, at least 1"):
        Permuted(source(), n_domains=0)
