"""Any image source with its pixels shuffled: domains that share classes and statistics, and no local structure.

Shapes: ``M`` images of ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lifelong.data.domain import Domain
from lifelong.data.images import fit_images
from lifelong.data.sampling import generator
from lifelong.data.source import Source


class Permuted(Source):
    """Every domain of another source under one fixed permutation of its pixels, the same for all of its images.

    Args:
        source: any source of images; it is loaded once, and its splits, variants and classes are kept.
        seed: chooses the permutation; never the run's seed, so that all runs see the same domain.
        n_domains: a whole stream: so many permutations, of the seeds ``seed``, ``seed + 1``, … Copies of an image share
            a split: none is trained on under one of them and tested under another. None makes one, with a split of its
            own.
        image_size: height and width in pixels, to which images are brought BEFORE they are shuffled, as shuffled pixels
            must not be mixed: give it where the first source of a stream has another size. None keeps the source's.

    Raises:
        ValueError: when the source's inputs are not images ``(M, C, H, W)``, or ``n_domains`` is less than 1.

    Reference:
        Goodfellow et al., "An Empirical Investigation of Catastrophic Forgetting in Gradient-Based Neural Networks",
        2013.

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=3, n_examples=2)
        >>> Permuted(source).domains()[0].name
        'permuted strokes'
        >>> [domain.name for domain in Permuted(source, n_domains=2).domains()]
        ['strokes permutation 0', 'strokes permutation 1']
    """

    def __init__(
        self, source: Source, *, seed: int = 0, n_domains: int | None = None, image_size: int | None = None
    ) -> None:
        if n_domains is not None and n_domains < 1:
            raise ValueError(f"Permuted has n_domains {n_domains}: it must be at least 1, or null for a single one")
        self.source = source
        self.seed = seed
        self.n_domains = n_domains
        self.image_size = image_size

    def domains(self) -> list[Domain]:
        """All domains of the source shuffled by the first permutation, then by the next."""
        ordered = [self._sized(domain) for domain in self.source.domains()]
        if self.n_domains is None:
            return [replace(d, name=f"permuted {d.name}", x=_shuffled(d.x, self.seed)) for d in ordered]
        seeds = range(self.seed, self.seed + self.n_domains)
        return [
            replace(d, name=f"{d.name} permutation {seed}", x=_shuffled(d.x, seed), origin=d.origin or d.name)
            for seed in seeds
            for d in ordered
        ]

    def _sized(self, domain: Domain) -> Domain:
        if domain.x.dim() != 4:
            raise ValueError(
                f"{domain.name} cannot be permuted: its inputs have shape {tuple(domain.x.shape[1:])}, images "
                "(channels, height, width) were expected"
            )
        if self.image_size is None:
            return domain
        return replace(domain, x=fit_images(domain.x, (domain.x.shape[1], self.image_size, self.image_size)))


def _shuffled(x: Tensor, seed: int) -> Tensor:
    order = torch.from_numpy(generator(seed, "pixels", 0).permutation(x.shape[-2] * x.shape[-1]))
    return x.flatten(2)[..., order].reshape(x.shape)
