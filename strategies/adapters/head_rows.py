"""The rows of a linear head that belong to each entry: those of its experience's classes.

Shapes: ``C`` classes of the stream, ``K`` classes of an experience, ``D`` features.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from strategies.adapters.entry import joined, parted

HEAD = ("network.head.weight", "network.head.bias")
"""Names of the head's parameters in a learner."""


class HeadRows:
    """Store for each entry the head rows that its experience has trained.

    If experiences have disjoint classes, these are the rows of the final head. If they share classes, as in the domain
    scenario, each experience has its own version of a row.

    Example:
        >>> rows = HeadRows()
        >>> rows.of_entries += [{"network.head.bias": torch.tensor([1.0, 2.0])}, {"network.head.bias": torch.ones(1)}]
        >>> classes = [torch.tensor([0, 2]), torch.tensor([2])]
        >>> rows.mean({"network.head.bias": torch.zeros(4)}, classes)["network.head.bias"].tolist()
        [1.0, 0.0, 1.5, 0.0]
    """

    def __init__(self) -> None:
        self.of_entries: list[Params] = []
        """Weights ``(K, D)`` and biases ``(K,)`` of each entry."""

    def keep(self, learner: Learner, classes: Tensor) -> None:
        """Store the current rows of some classes ``(K,)`` for the newest entry."""
        places, head = classes.to(learner.device), {n: p for n, p in learner.named_parameters() if n in HEAD}
        self.of_entries.append({name: p.detach()[places].clone() for name, p in head.items()})

    def put_back(self, learner: Learner, number: int, known: Tensor, wanted: Tensor) -> None:
        """Write rows of an entry into the learner's head.

        Args:
            learner: the learner.
            number: index of the entry.
            known: ``(K,)`` classes of the entry.
            wanted: classes whose rows are written.
        """
        shared = torch.isin(known.cpu(), wanted.cpu())
        with torch.no_grad():
            for name, rows in self.of_entries[number].items():
                learner.get_parameter(name)[known[shared].to(learner.device)] = rows[shared.to(rows.device)].to(
                    learner.device
                )

    def in_head(self, params: Params, number: int, classes: Tensor) -> Params:
        """Return the parameters with the head rows of an entry."""
        changed = dict(params)
        for name, rows in self.of_entries[number].items():
            head = params[name]
            changed[name] = head.index_copy(0, classes.to(head.device), rows.to(head))
        return changed

    def mean(self, params: Params, classes: list[Tensor]) -> Params:
        """Return the head in which the row of a class is the mean over the entries that know it.

        Args:
            params: parameters whose rows are used for classes that no entry knows.
            classes: classes of each entry.
        """
        means = {}
        for name in self.of_entries[0]:
            head = params[name]
            numbers = torch.cat(classes).to(head.device)
            rows = torch.cat([rows[name].to(head) for rows in self.of_entries])
            counts = torch.bincount(numbers, minlength=len(head)).to(head).reshape(-1, *[1] * (head.dim() - 1))
            total = torch.zeros_like(head).index_add(0, numbers, rows)
            means[name] = torch.where(counts > 0, total / counts.clamp_min(1), head)
        return means

    def state(self) -> dict[str, Any]:
        """Return all rows, for the checkpoint."""
        names = self.of_entries[0] if self.of_entries else ()
        return {name: joined([rows[name] for rows in self.of_entries]) for name in names}

    def load(self, state: dict[str, Any]) -> None:
        """Restore all rows from the checkpoint."""
        columns = {name: parted(rows) for name, rows in state.items()}
        self.of_entries = [dict(zip(columns, rows, strict=True)) for rows in zip(*columns.values(), strict=True)]
