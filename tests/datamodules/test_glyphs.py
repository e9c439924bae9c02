from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules import Glyphs
from datamodules.glyphs import STYLES

SMALL = {"n_classes": 6, "n_examples": 5, "image_size": 20}


def test_the_default_stream_has_one_domain_per_style():
    domains = Glyphs(**SMALL).domains()
    assert [d.name for d in domains] == list(STYLES)
    for domain in domains:
        assert domain.x.shape == (30, 1, 20, 20)
        assert domain.x.dtype == torch.uint8
        assert np.bincount(domain.y).tolist() == [5] * 6
        assert len(set(domain.class_names)) == 6
        assert domain.holdout == "classes"


def test_seed_alone_decides_what_is_drawn():
    first = Glyphs(**SMALL).domains()
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 the global generator is what must not matter
    state = torch.get_rng_state()
    for a, b, other in zip(first, Glyphs(**SMALL).domains(), Glyphs(**SMALL, seed=1).domains(), strict=True):
        assert torch.equal(a.x, b.x)
        assert not torch.equal(a.x, other.x)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_style_does_not_depend_on_the_others():
    together = Glyphs(**SMALL).domains()
    for domain in together:
        assert torch.equal(Glyphs(styles=(domain.name,), **SMALL).domains()[0].x, domain.x)


def test_chunks_of_drawing_do_not_show(monkeypatch):
    whole = [d.x.int() for d in Glyphs(**SMALL).domains()]
    monkeypatch.setattr("datamodules.glyphs.CHUNK", 1)
    for a, d in zip(whole, Glyphs(**SMALL).domains(), strict=True):
        assert (a - d.x.int()).abs().max() <= 1  # a matrix product may round differently in another shape


@pytest.mark.parametrize("style", STYLES)
def test_examples_differ_but_resemble_their_class(style):
    x = Glyphs(styles=(style,), n_classes=20, n_examples=40).domains()[0].x.float()
    assert len(x.flatten(1).unique(dim=0)) == 800
    # The phase of a texture means nothing, so its power spectrum is compared; shapes have a place and pixels do.
    features = torch.fft.rfft2(x).abs() if style == "textures" else x
    features = features.reshape(20, 40, -1)
    means, rest = features[:, :20].mean(1), features[:, 20:].flatten(0, 1)
    right = torch.cdist(rest, means).argmin(1) == torch.arange(20).repeat_interleave(20)
    assert right.float().mean() > 0.15  # chance is 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"styles": ("strokes", "frescoes")}, "no style 'frescoes': choose from strokes, textures"),
        ({"n_classes": 0}, "Glyphs' n_classes is 0"),
        ({"n_examples": -1}, "Glyphs' n_examples is -1"),
        ({"image_size": 0}, "Glyphs' image_size is 0"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Glyphs(**settings)
