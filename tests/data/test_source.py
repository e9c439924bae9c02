"""Sources: those that follow the run's seed, also inside others."""

from __future__ import annotations

import torch

from datamodules import Glyphs, Permuted, Rotated, SplitClasses
from lifelong.data.source import Source, with_seed
from lifelong.utilities.recorded import init_arguments


def glyphs() -> Glyphs:
    return Glyphs(styles=["strokes"], n_classes=4, n_examples=2, image_size=12)


def test_a_source_that_follows_nothing_is_itself() -> None:
    for source in (glyphs(), Permuted(glyphs()), Rotated(SplitClasses(glyphs(), n_domains=2), angles=[0])):
        assert with_seed(source, 5) is source


def test_a_seed_reaches_the_source_inside_others() -> None:
    def nested(seed: int | None) -> Source:
        return SplitClasses(Rotated(Permuted(glyphs(), seed=seed), angles=[0, 90]), n_domains=2)

    source = nested(None)
    seeded = with_seed(source, 5)
    assert seeded is not source
    for ours, theirs in zip(seeded.domains(), nested(5).domains(), strict=True):
        assert ours.name == theirs.name
        assert torch.equal(ours.x, theirs.x)
    assert init_arguments(seeded) == init_arguments(source)  # what a run writes down: the seed is the run's
