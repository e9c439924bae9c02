"""An entry: a small set of differences to the parameters of a trunk, for one experience.

Shapes: ``E`` entries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params

Entry = dict[str, Tensor]
"""Tensors by the name of the parameter that they change, with an ending for the kind of change."""

DOWN, UP, CENTRE, FULL = "-down", "-up", "-centre", "-full"
"""Endings of an entry's names: factors of a low-rank update, a kernel's centre, or a difference of the same shape."""


def empty_entry(network: nn.Module, rank: int, *, with_head: bool = True) -> Entry:
    """Return an entry that leaves the network unchanged, from which training starts.

    It consists of the centres of convolution kernels, low-rank updates of linear layers (full matrices if these are
    smaller), and all biases and norm scales. For a network with ``adapter_names`` it consists of full differences for
    these parameters only.

    Args:
        network: the trunk.
        rank: rank of the updates of linear layers.
        with_head: whether the entry also changes the module ``head``.

    Example:
        >>> list(empty_entry(nn.Linear(9, 9), rank=1))
        ['weight-down', 'weight-up', 'bias-full']
    """
    parameters = {n: p for n, p in network.named_parameters() if with_head or not n.startswith("head.")}
    if adapters := set(getattr(network, "adapter_names", ())):
        return {_key(n) + FULL: torch.zeros(p.shape) for n, p in parameters.items() if n in adapters}
    kinds = {
        f"{path}.weight" if path else "weight": type(module)
        for path, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    rng, entry = torch.Generator().manual_seed(0), Entry()
    for name, parameter in parameters.items():
        entry |= _empty_part(name, parameter, kinds.get(name), rank, rng)
    return entry


def _key(name: str) -> str:
    return name.replace(".", "-")  # names of a module's parameters must not contain dots


def _empty_part(name: str, parameter: Tensor, kind: type | None, rank: int, rng: torch.Generator) -> Entry:
    key = _key(name)
    if kind is nn.Conv2d:
        return {key + CENTRE: torch.zeros(parameter.shape[:2])}
    if kind is nn.Linear and parameter.numel() > rank * sum(parameter.shape):
        n_out, n_in = parameter.shape
        down = torch.randn(rank, n_in, generator=rng) / n_in**0.5
        return {key + DOWN: down, key + UP: torch.zeros(n_out, rank)}
    if kind is nn.Linear or parameter.dim() == 1:
        return {key + FULL: torch.zeros(parameter.shape)}
    return {}


def add_entry(params: Params, entry: Entry) -> Params:
    """Add an entry's differences to the trunk's parameters.

    Args:
        params: parameters of the learner; only those of its network (``network.…``) change.
        entry: the entry, on the same device.
    """
    changed = dict(params)
    for name, p in params.items():
        if not name.startswith("network."):
            continue  # the learner's own may have the name of one of the network's
        key = _key(name.removeprefix("network."))
        if (centre := entry.get(key + CENTRE)) is not None:
            height, width = p.shape[-2:]
            margin = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
            changed[name] = p + nn.functional.pad(centre[..., None, None], margin)
        elif (up := entry.get(key + UP)) is not None:
            changed[name] = p + up @ entry[key + DOWN]
        elif (full := entry.get(key + FULL)) is not None:
            changed[name] = p + full
    return changed


def differences(params: Params, entry: Entry) -> Params:
    """Return the differences of an entry as full tensors, for the parameters that it changes.

    Args:
        params: parameters of the learner.
        entry: the entry, on the same device.

    Example:
        >>> entry = {"weight-up": torch.ones(2, 1), "weight-down": torch.tensor([[1.0, 2.0]])}
        >>> differences({"network.weight": torch.eye(2), "network.bias": torch.eye(2)}, entry)
        {'network.weight': tensor([[1., 2.],
                [1., 2.]])}
    """
    zeros = {name: torch.zeros_like(p) for name, p in params.items()}
    return {name: value for name, value in add_entry(zeros, entry).items() if value is not zeros[name]}


def squared_projections(entry: Entry, others: Entry) -> Tensor:
    """Return the squared projections of an entry onto others, ``Σ_i Σ_θ ⟨Δ_θ, Δ_iθ⟩² / ‖Δ_iθ‖²``.

    The sum is over other entries ``i`` and parameters ``θ``. It is 0 if the entry's difference for each parameter is
    orthogonal to those of the others, and does not depend on the norm of the latter.

    Args:
        entry: the entry with differences ``Δ``.
        others: the other entries, as returned by :func:`stacked`.

    Example:
        >>> others = stacked([{"w-full": torch.tensor([2.0, 0.0])}, {"w-full": torch.zeros(2)}])
        >>> squared_projections({"w-full": torch.tensor([3.0, 4.0])}, others)
        tensor(9.)
    """
    total = next(iter(entry.values()), torch.zeros(())).new_zeros(())
    for key, value in entry.items():
        if key.endswith(DOWN):
            continue  # done together with UP
        if key.endswith(UP):
            down = key.removesuffix(UP) + DOWN
            theirs = (others[key], others[down])
            inner = _low_rank_products((value[None], entry[down][None]), theirs)
            lengths = _low_rank_products(theirs, theirs)
        else:
            rows = others[key].flatten(1)
            inner, lengths = rows @ value.flatten(), rows.square().sum(1)
        is_zero = lengths < torch.finfo(lengths.dtype).tiny
        total = total + (inner.square() * lengths.masked_fill(is_zero, torch.inf).reciprocal()).sum()
    return total


def _low_rank_products(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """Return ``⟨U D, U' D'⟩`` ``(E,)`` for factors ``(E, n, r)`` and ``(E, r, m)``, without forming the products."""
    (up, down), (up_too, down_too) = one, other
    return ((up.mT @ up_too) * (down @ down_too.mT)).sum((1, 2))


def stacked(entries: list[Entry]) -> Entry:
    """Stack entries into one tensor per key, which is much faster to save than many small tensors."""
    return {key: torch.stack([entry[key] for entry in entries]) for key in entries[0]} if entries else {}


def unstacked(entries: Entry) -> list[Entry]:
    """Return the entries that :func:`stacked` has stacked."""
    return [dict(zip(entries, values, strict=True)) for values in zip(*entries.values(), strict=True)]


def joined(tensors: list[Tensor]) -> dict[str, Tensor]:
    """Concatenate tensors of different lengths, and return the result with the lengths, for a checkpoint.

    Example:
        >>> [t.tolist() for t in parted(joined([torch.tensor([3, 4]), torch.tensor([5])]))]
        [[3, 4], [5]]
    """
    lengths = torch.tensor([len(t) for t in tensors], dtype=torch.int64)
    return {"values": torch.cat(tensors) if tensors else torch.zeros(0), "lengths": lengths}


def parted(state: dict[str, Tensor]) -> list[Tensor]:
    """Return the tensors that :func:`joined` has concatenated."""
    return list(torch.split(state["values"], state["lengths"].tolist())) if len(state["lengths"]) else []
