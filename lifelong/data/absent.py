"""Domains that were learnt earlier and whose examples are no longer available."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lifelong.data.domain import Domain
from lifelong.data.record import DomainRecord
from lifelong.data.source import Source


class Absent(Source):
    """Represent domains that a finished run has learnt, when the run continues without their examples.

    ``python -m lifelong extend`` adds this source to the config of a run whose old data are left out. Class indices and
    the order of the experiences are unchanged, and these domains are neither evaluated nor learnt again.

    Args:
        domains: record of each domain, from the checkpoint.

    Example:
        >>> record = DomainRecord("old", ("a", "b"), "0f", (2,), "float32", {"train": 8, "val": 1, "test": 1})
        >>> [domain.name for domain in Absent([record.to_dict()]).domains()]
        ['old']
    """

    def __init__(self, domains: list[dict[str, Any]]) -> None:
        self.records = [DomainRecord.from_dict(content) for content in domains]

    def domains(self) -> list[Domain]:
        """Return domains with classes but without examples."""
        return [_without_examples(record) for record in self.records]


def _without_examples(record: DomainRecord) -> Domain:
    return Domain(
        record.name,
        torch.zeros(0, *record.shape, dtype=record.torch_dtype),
        np.zeros(0, dtype=np.int64),
        record.classes,
        n_variants=record.n_variants,
        splits=["train"] * (len(record.classes) // record.n_variants),
        record=record,
    )
