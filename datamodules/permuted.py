"""Any image source with permuted pixels: domains share classes and statistics, but no local structure.

Shapes: ``M`` images of ``C`` channels, ``H`` and ``W`` pixels.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Self

from datamodules._files import check_image_size
from lifelong.data.domain import Domain
from lifelong.data.images import fit_images
from lifelong.data.sampling import generator
from lifelong.data.source import Source, SourceWrapper
from lifelong.utilities.ranges import check_number


class Permuted(SourceWrapper):
    """Shuffle the pixels of every domain of another source by one fixed permutation, the same for all of its images.

    Permutation ``i`` is a pure function of ``(seed, i)``, so that different seeds share no permutation.

    Args:
        source: any source of images; it is loaded once, and its splits, variants and classes are kept.
        seed: seed of the permutations, the same in all runs. If None, the seed of the run, for protocols that average
            over permutations.
        n_domains: number of permutations, numbered from 0, each of which is a domain. The permuted copies of an image
            share a split, so that no test image is trained on under another permutation. If None, the only domain is
            permutation 0, with its own split.
        image_size: height and width in pixels to which images are resized BEFORE permuting, since permuted pixels must
            not be interpolated. Set it if the first source of the stream has another size. Default: no resizing.
        pad: rows and columns of zeros on every side, added after resizing and before permuting; 2 makes 28×28 images
            32×32, as in the protocol of van de Ven et al.

    Raises:
        ValueError: when the source's inputs are not images ``(M, C, H, W)``, a setting is out of range, or ``seed`` is
            None and there is no run.

    Reference:
        Goodfellow et al., "An Empirical Investigation of Catastrophic Forgetting in Gradient-Based Neural Networks",
        2013. Padding: van de Ven, Tuytelaars & Tolias, "Three types of incremental learning", Nature Machine
        Intelligence 2022.
        Difference: domain 0 is also permuted; some protocols leave the first domain unchanged.

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=3, n_examples=2)
        >>> Permuted(source, pad=2).domains()[0].x.shape
        torch.Size([6, 1, 32, 32])
        >>> [domain.name for domain in Permuted(source, n_domains=2).domains()]
        ['strokes permutation 0', 'strokes permutation 1']
    """

    def __init__(
        self,
        source: Source,
        *,
        seed: int | None = 0,
        n_domains: int | None = None,
        image_size: int | None = None,
        pad: int = 0,
    ) -> None:
        super().__init__(source)
        check_number("Permuted's n_domains", n_domains, least=1, whole=True, hint=", or null for a single one")
        check_number("Permuted's pad", pad, least=0, whole=True, hint=" pixels")
        check_number("Permuted's seed", seed, least=0, whole=True, hint=", or null for the run's")
        check_image_size("Permuted", image_size)
        self.seed, self.n_domains, self.image_size, self.pad = seed, n_domains, image_size, pad

    def with_seed(self, seed: int) -> Self:
        """Return the source for a run with this seed; itself if its own seed is set."""
        permuted = super().with_seed(seed)
        if self.seed is None:
            permuted = copy.copy(permuted)
            permuted.seed = seed
        return permuted

    def domains(self) -> list[Domain]:
        """Load all domains of the source under the first permutation, then under the next ones."""
        if self.seed is None:
            raise ValueError("Permuted has the seed null, which is the run's, and there is no run here: give it a seed")
        plain = [self._sized(domain) for domain in self.source.domains()]
        if self.n_domains is None:
            return [replace(d, name=f"permuted {d.name}", x=_shuffled(d.x, self.seed, 0)) for d in plain]
        return [
            replace(
                d, name=f"{d.name} permutation {number}", x=_shuffled(d.x, self.seed, number), origin=d.origin or d.name
            )
            for number in range(self.n_domains)
            for d in plain
        ]

    def _sized(self, domain: Domain) -> Domain:
        x = domain.x
        if x.dim() != 4:
            raise ValueError(
                f"{domain.name} cannot be permuted: its inputs have shape {tuple(x.shape[1:])}, images "
                "(channels, height, width) were expected"
            )
        if self.image_size is not None:
            x = fit_images(x, (x.shape[1], self.image_size, self.image_size))
        return replace(domain, x=F.pad(x, (self.pad,) * 4) if self.pad else x)


def _shuffled(x: Tensor, seed: int, number: int) -> Tensor:
    order = torch.from_numpy(generator(seed, "pixels", number).permutation(x.shape[-2] * x.shape[-1]))
    return x.flatten(2)[..., order].reshape(x.shape)
