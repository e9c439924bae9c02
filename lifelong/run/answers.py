"""A model's predictions, with class names.

Shapes: ``M`` queries, ``N`` classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

SHOWN = 8
"""Number of predictions shown when printed; the object contains all of them."""


@dataclass(frozen=True)
class Answers:
    """Hold the predictions for some queries.

    Args:
        classes: names of the classes, in the order of the probabilities.
        probabilities: class probabilities ``(M, N)``.
        entries: for each query, the name of the experience whose parameters answered. None if no experience is chosen.
        far: ``(M,)``, how unfamiliar each query is. Values above 1 mark a query that is farther from all classes than
            their own examples are (:class:`~lifelong.run.familiarity.Familiarity`) or, without a support set, one that
            is answered with less confidence than they are (:func:`~lifelong.run.familiarity.unsure`). None if this
            cannot be measured.

    Example:
        >>> answers = Answers(("apple", "grape"), torch.tensor([[0.9, 0.1]]))
        >>> answers.labels
        ['apple']
        >>> answers
        1 answer among 2 classes
          apple  0.900
    """

    classes: tuple[str, ...]
    probabilities: Tensor
    entries: tuple[str, ...] | None = None
    far: Tensor | None = None

    @property
    def labels(self) -> list[str]:
        """Return the most probable class of each query."""
        return [self.classes[place] for place in self.probabilities.argmax(1).tolist()]

    @property
    def known(self) -> list[bool] | None:
        """Return, for each query, whether it looks like one of the classes. None if this cannot be measured."""
        return None if self.far is None else (self.far <= 1).tolist()

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __repr__(self) -> str:
        noun = "answer" if len(self) == 1 else "answers"
        lines = [f"{len(self)} {noun} among {len(self.classes)} classes"]
        width = max((len(label) for label in self.labels[:SHOWN]), default=0)
        entries: Sequence[str] = self.entries or [""] * len(self)
        known = self.known or [True] * len(self)
        for label, row, entry, knows in zip(self.labels[:SHOWN], self.probabilities, entries, known, strict=False):
            notes = [f"by {entry}"] * bool(entry) + ["far from every class"] * (not knows)
            lines.append(f"  {label:<{width}}  {row.max():.3f}" + (f"  ({', '.join(notes)})" if notes else ""))
        return "\n".join(lines + ([f"  … and {len(self) - SHOWN} more"] if len(self) > SHOWN else []))

    @staticmethod
    def cat(parts: Iterable[Answers]) -> Answers:
        """Join predictions for consecutive queries with the same classes."""
        given = list(parts)
        entries = [part.entries for part in given]
        joined = None if None in entries else tuple(chain.from_iterable(entry or () for entry in entries))
        far = [part.far for part in given if part.far is not None]
        distances = torch.cat(far) if len(far) == len(given) else None
        return Answers(given[0].classes, torch.cat([part.probabilities for part in given]), joined, distances)
