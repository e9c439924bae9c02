"""Classes that are too small for the tasks: how they are found, left out and reported."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from lifelong.data.kinds import Split
from lifelong.data.pool import Pool, TaskShape

log = logging.getLogger(__name__)


def without_small_classes(
    parts: Mapping[Split, Pool], shapes: Mapping[Split, TaskShape], *, same_classes: bool
) -> tuple[dict[Split, Pool], list[str]]:
    """Return the parts of a domain without classes that are too small for the tasks, and the names of these classes.

    A part without examples is not used, so its classes are not checked.

    Args:
        parts: the ``train``, ``val`` and ``test`` pools.
        shapes: shapes of the tasks, for the parts that are used.
        same_classes: every part has the same classes, so a class that is too small in one is left out of all.

    Example:
        >>> import numpy as np, torch
        >>> pool = Pool(torch.zeros(5, 2), [np.arange(4), np.arange(4, 5)], ["a", "b"], name="toy")
        >>> parts, names = without_small_classes({"train": pool}, {"train": TaskShape(1, 1, 1)}, same_classes=True)
        >>> parts["train"].names, names
        (['a'], ['b of toy (1)'])
    """
    small = {part: _small(parts[part], shape) for part, shape in shapes.items() if len(parts[part])}
    if same_classes:
        everywhere = set().union(*small.values())
        small = dict.fromkeys(parts, everywhere)
    kept: dict[Split, Pool] = {}
    left_out: dict[str, int] = {}
    for part, pool in parts.items():
        gone = small.get(part, set())
        kept[part] = pool.take([c for c in range(len(pool.members)) if c not in gone], pool.name) if gone else pool
        for number in sorted(gone):
            name = f"{pool.names[number]} of {pool.name.removesuffix(f' ({part})')}"
            left_out[name] = left_out.get(name, 0) + len(pool.members[number])
    return kept, [f"{name} ({n_examples})" for name, n_examples in left_out.items()]


def tell_left_out(names: Sequence[str]) -> None:
    """Report the classes that were left out in one line.

    Args:
        names: names of the classes, each with its number of examples.
    """
    if names:
        log.warning(
            "left out, with too few examples for the tasks: %s; refuse them instead with --data.small_classes refuse",
            ", ".join(names),
        )


def _small(pool: Pool, shape: TaskShape) -> set[int]:
    """Return the classes with too few examples, including all variants of each."""
    n = pool.n_variants
    families = {number // n for number in range(len(pool.members)) if pool.lack(number, shape)}
    return {family * n + variant for family in families for variant in range(n)}
