from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules import Glyphs, Permuted, Sinusoids
from lifelong.images import fit_images
from lifelong.sampling import generator


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
