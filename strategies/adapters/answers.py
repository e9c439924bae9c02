"""Predictions of the entries of a bank for labelled examples, independently for each example.

Shapes: ``B`` examples, ``N`` ways, ``E`` entries, ``C`` classes of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lifelong.data.episode import Episode


@dataclass(frozen=True)
class EntryAnswers:
    """Predict a batch of labelled examples with each entry: ``log p(c | e, x)`` over the ways that entry ``e`` knows.

    An entry knows the classes that it was trained on. An entry that knows none of an example's ways is not used for it,
    so in the task scenario the ways determine the entry. If no entry knows any of the ways, all entries are used.

    Args:
        batch: the examples, each the single query of a task.
        ask: returns the outputs ``(B, N)`` of an entry for the ways of some examples.
        known: ``(E, C)`` whether an entry knows a class.
    """

    batch: Episode
    ask: Callable[[int, Episode], Tensor]
    known: Tensor

    @property
    def ways(self) -> Tensor:
        """Return the class of each way, ``(B, N)``."""
        assert self.batch.classes is not None
        return self.batch.classes

    @cached_property
    def able(self) -> Tensor:
        """Return whether an entry can be used for an example, ``(E, B)``; at least one can for each example."""
        known = self.known.float()
        asked = known.new_zeros(self.ways.shape[0], known.shape[1] + 1)
        asked.scatter_(1, self.ways.where(self.ways >= 0, known.shape[1]), 1.0)
        able = known @ asked[:, :-1].T > 0
        return able | ~able.any(0)

    def of_entry(self, number: int, rows: Tensor | None = None) -> Tensor:
        """Return ``log p(c | e, x)`` ``(B, N)`` of one entry; −∞ for ways that are absent or unknown to it.

        Args:
            number: index of the entry.
            rows: indices of the examples. Default: all.
        """
        batch = self.batch if rows is None else self.batch.take(rows)
        assert batch.classes is not None
        present = batch.classes >= 0
        knows = self.known[number][batch.classes.clamp_min(0)] & present
        knows = knows | (present & ~knows.any(-1, keepdim=True))
        return self.ask(number, batch).masked_fill(~knows, -torch.inf).log_softmax(-1)

    def of_best(self, best: Tensor) -> Tensor:
        """Return each example's prediction ``(B, N)`` by its own entry ``(B,)``, evaluating an entry on these only."""
        asked = torch.unique(best).tolist()
        if len(asked) == 1:
            return self.of_entry(int(asked[0]))
        parts = [(rows, self.of_entry(int(number), rows)) for number in asked for rows in (best == number,)]
        whole = parts[0][1].new_empty(len(self.batch), parts[0][1].shape[1])
        for rows, answers in parts:
            whole[rows] = answers
        return whole

    def best(self, distances: Tensor) -> Tensor:
        """Return for each example the nearest entry ``(B,)`` that can be used for it.

        Args:
            distances: ``(E, B)``.
        """
        return distances.masked_fill(~self.able, torch.inf).argmin(0)

    def mixed(self, distances: Tensor, temperature: float) -> Tensor:
        """Return ``log Σ_e p(e | x) p(c | e, x)`` ``(B, N)`` with ``p(e | x) = softmax(−distance / temperature)``.

        Args:
            distances: ``(E, B)``.
            temperature: above 0.
        """
        scores = (-distances / temperature).masked_fill(~self.able, -torch.inf).log_softmax(0)
        mixture = self.of_entry(0) + scores[0][:, None]
        for number in range(1, len(self.known)):
            mixture = torch.logaddexp(mixture, self.of_entry(number) + scores[number][:, None])
        return mixture

    def entropies(self) -> Tensor:
        """Return the entropy of each entry's predictions, ``(E, B)``."""
        return torch.stack([entropy(self.of_entry(number)) for number in range(len(self.known))])


def entropy(log_p: Tensor) -> Tensor:
    """Return ``−Σ p log p`` over the last axis of log-probabilities.

    Example:
        >>> entropy(torch.tensor([0.5, 0.5, 0.0]).log())
        tensor(0.6931)
    """
    return -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0)).sum(-1)
