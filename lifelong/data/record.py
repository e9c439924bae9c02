"""The record of a domain in a checkpoint, with which a stream can continue without its examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from typing_extensions import Self

from lifelong.data.kinds import Split
from lifelong.data.pool import Pool


@dataclass(frozen=True)
class DomainRecord:
    """Describe a domain of a stream, without its examples.

    Args:
        name: name in the stream.
        classes: names of its training classes, including variants.
        fingerprint: hash of its split: which classes or examples are in which part.
        shape: shape of one input.
        dtype: data type of the inputs, such as ``uint8``.
        n_examples: number of examples of each part: ``train``, ``val`` and ``test``.
        n_variants: number of consecutive classes that are variants of one class.
        source: index of its source among the stream's sources.
        is_learnt: False for a domain that is only evaluated.

    Example:
        >>> DomainRecord("a", ("x", "y"), "0f", (3,), "float32", {"train": 4}).to_dict()["classes"]
        ['x', 'y']
    """

    name: str
    classes: tuple[str, ...]
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    n_examples: Mapping[str, int] = field(default_factory=dict)
    n_variants: int = 1
    source: int = 0
    is_learnt: bool = True

    @classmethod
    def of(cls, name: str, parts: Mapping[Split, Pool], *, is_learnt: bool = True) -> Self:
        """Return the record of a domain.

        Args:
            name: name in the stream.
            parts: its ``train``, ``val`` and ``test`` pools.
            is_learnt: whether it is trained on.
        """
        train = parts["train"]
        return cls(
            name,
            tuple(train.names),
            fingerprint(parts),
            tuple(train.x.shape[1:]),
            str(train.x.dtype).removeprefix("torch."),
            {part: len(pool) for part, pool in parts.items()},
            train.n_variants,
            is_learnt=is_learnt,
        )

    @property
    def torch_dtype(self) -> torch.dtype:
        """Return the data type of the inputs."""
        return getattr(torch, self.dtype)  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for checkpoints and configs."""
        plain = {"classes": list(self.classes), "shape": list(self.shape), "n_examples": dict(self.n_examples)}
        return asdict(self) | plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Create a record from the result of :meth:`to_dict`."""
        return cls(**{**content, "classes": tuple(content["classes"]), "shape": tuple(content["shape"])})


def fingerprint(parts: Mapping[Split, Pool]) -> str:
    """Return a hash of a domain's split: which classes or examples are in which part.

    Args:
        parts: its ``train``, ``val`` and ``test`` pools.
    """
    digest = hashlib.sha256()
    update(digest, parts)
    return digest.hexdigest()[:16]


def update(digest: Any, parts: Mapping[Split, Pool]) -> None:
    """Update a hash with the split of a domain.

    Args:
        digest: hash object of ``hashlib``.
        parts: its ``train``, ``val`` and ``test`` pools.
    """
    for split, pool in parts.items():
        digest.update(f"{split}:{pool.name}:{pool.n_variants}".encode())
        for name, members in zip(pool.names, pool.members, strict=True):
            digest.update(name.encode())
            digest.update(members.tobytes())
