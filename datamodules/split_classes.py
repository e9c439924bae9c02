"""A data set split into domains by its classes, for class- and task-incremental learning.

Shapes: ``M`` examples, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lifelong.data.domain import Domain
from lifelong.data.reader import Reader
from lifelong.data.sampling import generator
from lifelong.data.source import Source, SourceWrapper
from lifelong.utilities.ranges import check_number


class SplitClasses(SourceWrapper):
    """Deal the classes of every domain of another source, in order, into domains.

    Variants and siblings of a class (rotations) stay with it, and count as one class here.

    Args:
        source: any labelled source.
        n_domains: number of domains per domain of the source, with equally many classes; if the number of classes is
            not divisible, the first domains have one more. Default: 5, or the length of ``sizes``.
        sizes: number of classes of each domain. Default: all classes, divided equally.
        n_classes: number of classes to use, the first ones in order. Default: all, or as many as in ``sizes`` or
            ``order``.
        order: indices of all or some classes, in the order of the stream. Default: order of the source.
        order_seed: seed for shuffling the classes. Default: no shuffling.

    Raises:
        ValueError: when there are too few classes, an index is unknown or occurs twice, or the settings contradict each
            other.

    Reference:
        Zenke, Poole & Ganguli, "Continual Learning Through Synaptic Intelligence", ICML 2017 (Split MNIST).

    Example:
        >>> from datamodules import Glyphs
        >>> source = Glyphs(styles=["strokes"], n_classes=4, n_examples=2)
        >>> [domain.class_names for domain in SplitClasses(source, n_domains=2).domains()]
        [['strokes 01', 'strokes 02'], ['strokes 03', 'strokes 04']]
        >>> [len(domain.class_names) for domain in SplitClasses(source, sizes=[2, 1]).domains()]
        [2, 1]
    """

    def __init__(
        self,
        source: Source,
        *,
        n_domains: int | None = None,
        sizes: Sequence[int] | None = None,
        n_classes: int | None = None,
        order: Sequence[int] | None = None,
        order_seed: int | None = None,
    ) -> None:
        super().__init__(source)
        if order is not None and order_seed is not None:
            raise ValueError("SplitClasses has both an order and an order_seed: give one of them")
        self.n_domains, self.sizes, self.n_classes = n_domains, sizes, n_classes
        self.order, self.order_seed = order, order_seed
        self._check_sizes()

    def domains(self) -> list[Domain]:
        """Load the parts, in the order of the stream."""
        return [part for domain in self.source.domains() for part in self._parts(domain)]

    def _check_sizes(self) -> None:
        for name, value in (("n_domains", self.n_domains), ("n_classes", self.n_classes)):
            check_number(f"SplitClasses' {name}", value, least=1, whole=True, hint=", or null")
        check_number("SplitClasses' order_seed", self.order_seed, least=0, whole=True, hint=", or null")
        if self.sizes is None:
            return
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"SplitClasses has {_some(self.sizes)} as sizes: give each domain at least 1 class")
        for name, value, implied in (
            ("n_domains", self.n_domains, len(self.sizes)),
            ("n_classes", self.n_classes, sum(self.sizes)),
        ):
            if value not in (None, implied):
                raise ValueError(f"SplitClasses has {name} {value}, but sizes make {implied}: leave {name} out")

    def reader(self) -> Reader | None:
        """Return the reader of the source."""
        return self.source.reader()

    def _parts(self, domain: Domain) -> list[Domain]:
        order = self._order(domain)
        if self.sizes is not None:
            pieces = np.split(order, np.cumsum(self.sizes)[:-1])
        else:
            pieces = np.array_split(order, 5 if self.n_domains is None else self.n_domains)
        return [self._part(domain, classes) for classes in pieces]

    def _order(self, domain: Domain) -> np.ndarray:
        """Return the classes to use, in order; variants and siblings count once."""
        n_classes = len(domain.class_names) // _together(domain)
        order = np.arange(n_classes) if self.order is None else np.asarray(self.order, dtype=np.int64)
        if self.order_seed is not None:
            order = generator(self.order_seed, "classes", 0).permutation(n_classes)
        wrong = sorted({int(c) for c in order if not 0 <= c < n_classes or (order == c).sum() > 1})
        if wrong:
            raise ValueError(
                f"the order of the classes of {domain.name} has {_some(wrong)}: give each index once, from 0 to "
                f"{n_classes - 1}"
            )
        wanted = len(order) if self.n_classes is None else self.n_classes
        n_dealt, n_domains = (sum(self.sizes), len(self.sizes)) if self.sizes else (wanted, self.n_domains or 5)
        if len(order) < n_dealt:
            raise ValueError(
                f"{domain.name} has {len(order)} classes to deal out, and {n_dealt} are asked for: lower "
                f"{'sizes' if self.sizes else 'n_classes'}"
            )
        if n_dealt < n_domains:
            raise ValueError(
                f"{n_dealt} classes of {domain.name} cannot be dealt into {n_domains} domains: lower n_domains"
            )
        return order[:n_dealt]

    def _part(self, domain: Domain, chosen: np.ndarray) -> Domain:
        together = _together(domain)
        classes = (chosen[:, None] * together + np.arange(together)).reshape(-1)
        place = np.full(len(domain.class_names) + 1, -1)  # the last entry maps the index -1 to itself
        place[classes] = np.arange(len(classes))
        names = [domain.class_names[int(c)] for c in classes]
        name = f"{domain.name} {', '.join(names)}" if len(names) <= 3 else f"{domain.name} {names[0]} – {names[-1]}"
        splits = None if domain.splits is None else [domain.splits[int(c)] for c in chosen]
        return replace(domain.part(place[domain.y], name, names), splits=splits)


def _together(domain: Domain) -> int:
    """Return the number of consecutive class indices that are variants or siblings of one class."""
    return max(domain.n_variants, domain.siblings)


def _some(numbers: Sequence[int]) -> str:
    """Return the first few numbers, for messages."""
    first = ", ".join(map(str, numbers[:5]))
    return f"{first} and {len(numbers) - 5} more" if len(numbers) > 5 else first or "nothing"
