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
"""The parameters of a head, as a learner calls them."""


class HeadRows:
    """Keep for each entry the rows of the head that its experience has trained.

    Where experiences have classes of their own these are the rows that the head ends with; where they share classes,
    as in the domain scenario, each has its own.

    Example:
        >>> rows = HeadRows()
        >>> rows.of_entries += [{"network.head.bias": torch.tensor([1.0, 2.0])}, {"network.head.bias": torch.ones(1)}]
        >>> classes = [torch.tensor([0, 2]), torch.tensor([2])]
        >>> rows.mean({"network.head.bias": torch.zeros(4)}, classes)["network.head.bias"].tolist()
        [1.0, 0.0, 1.5, 0.0]
    """

    def __init__(self) -> None:
        self.of_entries: list[Params] = []
        """By entry: ``(K, D)`` and ``(K,)``."""

    def keep(self, learner: Learner, classes: Tensor) -> None:
        """Keep the rows of some classes ``(K,)``, as they are now, for the newest entry."""
        places, head = classes.to(learner.device), {n: p for n, p in learner.named_parameters() if n in HEAD}
        self.of_entries.append({name: p.detach()[places].clone() for name, p in head.items()})

    def put_back(self, learner: Learner, number: int, known: Tensor, wanted: Tensor) -> None:
        """Write rows of an entry into the learner's head.

        Args:
            learner: whose head it is.
            number: of the entry.
            known: ``(K,)`` its classes.
            wanted: classes that are written.
        """
        shared = torch.isin(known.cpu(), wanted.cpu())
        with torch.no_grad():
            for name, rows in self.of_entries[number].items():
                learner.get_parameter(name)[known[shared].to(learner.device)] = rows[shared.to(rows.device)].to(
                    learner.device
                )

    def in_head(self, params: Params, number: int, classes: Tensor) -> Params:
        """Return the parameters with the rows of an entry in the head."""
        changed = dict(params)
        for name, rows in self.of_entries[number].items():
            head = params[name]
            changed[name] = head.index_copy(0, classes.to(head.device), rows.to(head))
        return changed

    def mean(self, params: Params, classes: list[Tensor]) -> Params:
        """Return the head in which the row of a class is the mean over the entries that know it.

        Args:
            params: whose rows stay for classes that no entry knows.
            classes: by entry.
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
        """Take all rows from the checkpoint."""
        columns = {name: parted(rows) for name, rows in state.items()}
        self.of_entries = [dict(zip(columns, rows, strict=True)) for rows in zip(*columns.values(), strict=True)]
