"""Any image source as the features of a frozen network.

Shapes: ``M`` images, ``D`` features.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from lifelong.data.domain import Domain
from lifelong.data.pool import RESIDENT_BYTES
from lifelong.data.source import Source, SourceWrapper
from lifelong.vision import EncodedReader, FrozenEncoder


class Encoded(SourceWrapper):
    """Replace the images of another source by the features of a frozen network.

    Classes, splits, variants and everything else of the domains are kept. Features are computed once and cached on
    disk.

    Args:
        source: any source of images; sources that change images (``Rotated``, ``Permuted``) go inside.
        encoder: computes the features.

    Raises:
        ValueError: when the source has no images, or the encoder's network cannot take them.

    Example:
        >>> from datamodules import CIFAR10
        >>> from lifelong.networks import Timm
        >>> source = Encoded(CIFAR10(), encoder=FrozenEncoder(network=Timm(name="resnet18")))  # doctest: +SKIP
        >>> source.domains()[0].x.shape  # doctest: +SKIP
        torch.Size([60000, 512])
    """

    def __init__(self, source: Source, *, encoder: FrozenEncoder) -> None:
        super().__init__(source)
        self.encoder = encoder

    def domains(self) -> list[Domain]:
        """Load the domains of the source, with features ``(M, D)`` as inputs."""
        domains = self.source.domains()
        if not domains:
            return []  # the stream has a better error message for no domains
        for domain in domains:
            if domain.x.dim() != 4:
                raise ValueError(
                    f"{domain.name} cannot be encoded: its inputs have shape {tuple(domain.x.shape[1:])}, images "
                    "(channels, height, width) were expected"
                )
        return self._encoded(domains)

    def reader(self) -> EncodedReader | None:
        """Return the reader that computes the features of an image that the source can read."""
        reader = self.source.reader()
        return None if reader is None else EncodedReader(reader, encoder=self.encoder)

    def _encoded(self, domains: list[Domain]) -> list[Domain]:
        kinds = {(domain.x.shape[1:], domain.x.dtype) for domain in domains}
        if len(domains) == 1 or len(kinds) > 1 or sum(domain.x.nbytes for domain in domains) > RESIDENT_BYTES:
            return [replace(domain, x=self.encoder.encode(domain.x)) for domain in domains]
        # All domains in one call, for a single progress bar.
        x = self.encoder.encode(torch.cat([domain.x for domain in domains]))
        parts = torch.split(x, [len(domain.x) for domain in domains])
        return [replace(domain, x=part) for domain, part in zip(domains, parts, strict=True)]
