from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules import Glyphs, Permuted, Sinusoids
from lifelong.data.images import fit_images
from lifelong.data.sampling import generator


def source() -> Glyphs:
    return Glyphs(styles=["strokes", "textures"], n_classes=3, n_examples=2, image_size=12)


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


def test_a_stream_of_permutations_is_each_of_them_in_turn() -> None:
    small = Glyphs(styles=["strokes", "textures"], n_classes=3, n_examples=2, image_size=12)
    domains = Permuted(small, seed=4, n_domains=3).domains()
    names = [f"{style} permutation {seed}" for seed in (4, 5, 6) for style in ("strokes", "textures")]
    assert [domain.name for domain in domains] == names
    alone = [domain for seed in (4, 5, 6) for domain in Permuted(source(), seed=seed).domains()]
    for one, other in zip(domains, alone, strict=True):
        assert torch.equal(one.x, other.x)
        assert (one.origin, other.origin) == (one.name.split()[0], None)


def test_the_source_of_many_permutations_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, loaded = source(), []
    (first, _) = made.domains()
    monkeypatch.setattr(made, "domains", lambda: loaded.append(1) or [first])
    assert len(Permuted(made, n_domains=5).domains()) == 5
    assert loaded == [1]


def test_no_permutation_is_refused() -> None:
    with pytest.raises(ValueError, match="n_domains 0: it must be at least 1"):
        Permuted(source(), n_domains=0)
