"""Any image source with its pixels shuffled: domains that share classes and statistics, and no local structure.

Shapes: ``M`` images of ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from lifelong.images import fit_images
from lifelong.sampling import generator
from lifelong.stream import Domain, Source


class Permuted(Source):
    """Every domain of another source under one fixed permutation of its pixels, the same for all of its images.

    Args:
        source: any source of images; its splits, variants and names are kept.
        seed: chooses the permutation; never the run's seed, so that all runs see the same domain.
        image_size: height and width in pixels, to which images are brought BEFORE they are shuffled, as shuffled pixels
            must not be mixed: give it where the first source of a stream has another size. None keeps the source's.

    Raises:
        ValueError: when the source's inputs are not images ``(M, C, H, W)``.

    Reference:
        Goodfellow et al., "An Empirical Investigation of Catastrophic Forgetting in Gradient-Based Neural Networks",
        2013.

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=3, n_examples=2)
        >>> Permuted(source).domains()[0].name
        'permuted strokes'
    """

    def __init__(self, source: Source, *, seed: int = 0, image_size: int | None = None) -> None:
        self.source = source
        self.seed = seed
        self.image_size = image_size

    def domains(self) -> list[Domain]:
        """The domains of the source, shuffled."""
        return [self._shuffle(domain) for domain in self.source.domains()]

    def _shuffle(self, domain: Domain) -> Domain:
        if domain.x.dim() != 4:
            raise ValueError(
                f"{domain.name} cannot be permuted: its inputs have shape {tuple(domain.x.shape[1:])}, images "
                "(channels, height, width) were expected"
            )
        x = domain.x
        if self.image_size is not None:
            x = fit_images(x, (x.shape[1], self.image_size, self.image_size))
        order = torch.from_numpy(generator(self.seed, "pixels", 0).permutation(x.shape[-2] * x.shape[-1]))
        return replace(domain, name=f"permuted {domain.name}", x=x.flatten(2)[..., order].reshape(x.shape))
