"""Checks of the shapes, types and values that a source loads, before training.

Networks receive real-valued inputs and targets in single precision: double precision is converted when the stream is
loaded, half precision when units are drawn.

Shapes: ``M`` examples, ``*X`` one input.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lifelong.data.domain import Domain
from lifelong.data.pool import RESIDENT_BYTES
from lifelong.data.source import Source, with_seed

CHUNK_BYTES = 64 << 20
"""Number of bytes checked at a time, so that a memory map is not read into memory."""
LARGEST = torch.finfo(torch.float32).max


def checked(domain: Domain, source: str) -> Domain:
    """Check a domain, and return it with real numbers in single precision.

    Args:
        domain: the domain loaded by a source.
        source: name of the source, for messages.

    Raises:
        ValueError: when inputs, labels or targets are inconsistent, or a number is not finite; the message gives
            source, domain and example.

    Example:
        >>> import numpy as np
        >>> domain = Domain("toy", torch.zeros(2, 3, dtype=torch.float64), np.array([0, 1]), ["a", "b"])
        >>> checked(domain, "Toy").x.dtype
        torch.float32
    """
    where = f"{source}: the domain {domain.name!r}"
    _check_labels(domain, where)
    x = check_inputs(domain.x, where)
    targets = None if domain.targets is None else check_inputs(domain.targets, where, "targets")
    return replace(domain, x=_single(x), targets=None if targets is None else _single(targets))


def checked_domains(source: Source, seed: int) -> list[Domain]:
    """Load the domains of a source for a run with this seed, and check them.

    Args:
        source: the data set.
        seed: seed of the run.

    Raises:
        ValueError: as :func:`checked`.
    """
    return [checked(domain, type(source).__name__) for domain in with_seed(source, seed).domains()]


def check_inputs(x: Tensor, where: str, what: str = "inputs") -> Tensor:
    """Check that inputs ``(M, *X)`` are a dense tensor of finite numbers, and return them.

    Args:
        x: the inputs.
        where: their origin, for messages.
        what: their description, for messages.

    Raises:
        ValueError: when they have another type, are empty, or contain a number that is not finite.
    """
    if x.layout != torch.strided or x.is_quantized or x.is_meta or x.is_complex() or x.dtype == torch.bool:
        kind = "sparse" if x.layout != torch.strided else "on the device meta" if x.is_meta else str(x.dtype)
        raise ValueError(f"{where} has {what} that are {kind}: give a dense array of floats, uint8 or whole numbers")
    if x.dim() == 0 or 0 in x.shape[1:]:
        raise ValueError(
            f"{where} has {what} of shape {tuple(x.shape)}, which hold no numbers: give an array (examples, …)"
        )
    check_finite(x, where, what)
    return x


def check_finite(x: Tensor, where: str, what: str = "inputs") -> None:
    """Refuse numbers that are NaN, infinite, or too large for single precision.

    Args:
        x: ``(M, *X)`` numbers.
        where: their origin, for messages.
        what: their description, for messages.

    Raises:
        ValueError: with the first such example and the position in it.

    Example:
        >>> check_finite(torch.tensor([[0.0, 1.0], [2.0, torch.nan]]), "d.npz")
        Traceback (most recent call last):
            ...
        ValueError: d.npz has nan among its inputs, in example 1 (counted from 0) at [1]: correct it, or leave it out
    """
    if not x.is_floating_point() or not len(x):
        return
    n_rows = max(CHUNK_BYTES // max(x[0].nbytes, 1), 1)
    for number, chunk in enumerate(torch.split(x, n_rows)):
        good = torch.isfinite(chunk)
        if x.dtype == torch.float64:
            good &= chunk.abs() <= LARGEST
        if not good.all():
            row, *place = torch.nonzero(~good)[0].tolist()
            value = chunk[(row, *place)].item()
            at = f" at {place}" if place else ""
            raise ValueError(
                f"{where} has {value} among its {what}, in example {number * n_rows + row} (counted from 0){at}: "
                f"correct it, or leave it out"
            )


def _single(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.float64 and x.nbytes <= RESIDENT_BYTES else x


def _check_labels(domain: Domain, where: str) -> None:
    y, n_classes = domain.y, len(domain.class_names)
    if y.dtype.kind not in "iu" or y.shape != (len(domain.x),):
        raise ValueError(
            f"{where} has {len(domain.x)} inputs, and labels of shape {y.shape} and type {y.dtype}: give one whole "
            "number for each"
        )
    if len(y) and not -1 <= int(y.min()) <= int(y.max()) < n_classes:
        wrong = int(y.max()) if int(y.max()) >= n_classes else int(y.min())
        raise ValueError(
            f"{where} has the label {wrong} and {n_classes} class names: give labels from 0 to {n_classes - 1}, or -1 "
            "for an example that is not the domain's"
        )
    if domain.targets is not None and len(domain.targets) != len(domain.x):
        raise ValueError(
            f"{where} has {len(domain.x)} inputs and {len(domain.targets)} targets: give one target for each"
        )
