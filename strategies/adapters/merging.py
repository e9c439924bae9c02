"""Merging of all entries into one, which needs no routing.

Shapes: ``E`` entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lifelong.compute.params import Params
from strategies.adapters.entry import Entry, differences


def averaged(params: Params, entries: Sequence[Entry]) -> Params:
    """Return the mean of the entries' differences, ``1/E Σ_e Δ_e``.

    Args:
        params: parameters of the trunk.
        entries: at least one entry, on the same device.
    """
    return {name: total / len(entries) for name, total in _sums(differences(params, e) for e in entries).items()}


def fused(params: Params, entries: Sequence[Entry]) -> Params:
    """Return elementwise the largest of the entries' differences that have the elected sign.

    ``s · max_{e: sign(Δ_e) = s} |Δ_e|`` with the elected sign ``s = sign(Σ_e Δ_e)``.

    Args:
        params: parameters of the trunk.
        entries: at least one entry, on the same device.

    Reference:
        Yadav et al., "TIES-Merging", NeurIPS 2023 (the elected sign); Wang, Zhou & Ye, "Integrating Task-Specific and
        Universal Adapters", ICCV 2025 (the largest magnitude).

    Example:
        >>> entries = [{"w-full": torch.tensor(w)} for w in ([1.0, -2.0, 1.0], [3.0, 1.0, -1.0])]
        >>> fused({"network.w": torch.zeros(3)}, entries)["network.w"].tolist()
        [3.0, -2.0, 0.0]
    """
    signs = {name: total.sign() for name, total in _sums(differences(params, e) for e in entries).items()}
    largest = {name: torch.zeros_like(sign) for name, sign in signs.items()}
    for entry in entries:
        for name, difference in differences(params, entry).items():
            largest[name] = torch.maximum(largest[name], signs[name] * difference)
    return {name: signs[name] * magnitude for name, magnitude in largest.items()}


def with_differences(params: Params, added: Params) -> Params:
    """Return the parameters plus the differences given for some of them."""
    return {name: p + added[name] if name in added else p for name, p in params.items()}


def _sums(of_entries: Iterable[Params]) -> Params:
    totals: dict[str, Tensor] = {}
    for of_entry in of_entries:
        for name, difference in of_entry.items():
            totals[name] = totals[name] + difference if name in totals else difference
    return totals
