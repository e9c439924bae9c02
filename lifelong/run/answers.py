"""What a model answered, by name.

Shapes: ``M`` queries, ``N`` classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

SHOWN = 8
"""Answers that are shown; the object has all."""


@dataclass(frozen=True)
class Answers:
    """Hold the answers to some queries.

    Args:
        classes: names of the classes, in the order of the probabilities.
        probabilities: ``(M, N)``.
        entries: for each query the name of the experience whose parameters answered; None where nothing is chosen.
        far: ``(M,)`` how far each query is from the nearest class; above 1 it is farther than examples of the classes
            are (:class:`~lifelong.run.familiarity.Familiarity`), or, without a support set, answered with less
            confidence (:func:`~lifelong.run.familiarity.unsure`). None where nobody can tell.

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
        """Return the likeliest class of each query."""
        return [self.classes[place] for place in self.probabilities.argmax(1).tolist()]

    @property
    def known(self) -> list[bool] | None:
        """Tell of each query whether it looks like one of the classes; None where nobody can tell."""
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
        """Join answers to consecutive queries among the same classes."""
        given = list(parts)
        entries = [part.entries for part in given]
        joined = None if None in entries else tuple(chain.from_iterable(entry or () for entry in entries))
        far = [part.far for part in given if part.far is not None]
        distances = torch.cat(far) if len(far) == len(given) else None
        return Answers(given[0].classes, torch.cat([part.probabilities for part in given]), joined, distances)
