"""A data set cut into domains by its classes: the stream of class- and task-incremental learning.

Shapes: ``M`` examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lifelong.data.domain import Domain
from lifelong.data.sampling import generator
from lifelong.data.source import Source


class SplitClasses(Source):
    """The classes of every domain of another source, dealt in order into domains of equally many.

    Args:
        source: any labelled source.
        n_domains: domains to make of each; its classes must divide evenly.
        order: indices of the classes in the order of the stream; None keeps that of the source.
        order_seed: shuffles the classes; None does not.

    Raises:
        ValueError: when the classes cannot be dealt evenly, or both an order and a seed are given.

    Reference:
        Zenke, Poole & Ganguli, "Continual Learning Through Synaptic Intelligence", ICML 2017 (Split MNIST).

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=4, n_examples=2)
        >>> [domain.class_names for domain in SplitClasses(source, n_domains=2).domains()]
        [['strokes 01', 'strokes 02'], ['strokes 03', 'strokes 04']]
    """

    def __init__(
        self, source: Source, *, n_domains: int = 5, order: Sequence[int] | None = None, order_seed: int | None = None
    ) -> None:
        if order is not None and order_seed is not None:
            raise ValueError("SplitClasses has both an order and an order_seed: give one of them")
        self.source, self.n_domains, self.order, self.order_seed = source, n_domains, order, order_seed

    def domains(self) -> list[Domain]:
        """The parts, in the order of the stream."""
        return [part for domain in self.source.domains() for part in self._parts(domain)]

    def _parts(self, domain: Domain) -> list[Domain]:
        n_classes = len(domain.class_names)
        order = np.arange(n_classes) if self.order is None else np.asarray(self.order)
        if self.order_seed is not None:
            order = generator(self.order_seed, "classes", 0).permutation(n_classes)
        if len(order) % self.n_domains or sorted(order.tolist()) != list(range(n_classes)):
            raise ValueError(
                f"the {n_classes} classes of {domain.name} in the order {order.tolist()} cannot be dealt into "
                f"{self.n_domains} domains: give an order of all of them, and a number of domains that divides theirs"
            )
        return [self._part(domain, classes) for classes in np.split(order, self.n_domains)]

    def _part(self, domain: Domain, classes: np.ndarray) -> Domain:
        place = np.full(len(domain.class_names) + 1, -1)  # the last one is where the index -1 finds itself
        place[classes] = np.arange(len(classes))
        names = [domain.class_names[c] for c in classes]
        name = f"{domain.name} {', '.join(names)}" if len(names) <= 3 else f"{domain.name} {names[0]} – {names[-1]}"
        splits = None if domain.splits is None else [domain.splits[c] for c in classes]
        return replace(domain.part(place[domain.y], name, names), splits=splits)
