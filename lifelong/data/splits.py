"""Splitting a domain into training, validation and test parts, as a pure function of a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from lifelong.data.domain import Domain, members_by_class
from lifelong.data.kinds import Split, Support
from lifelong.data.pool import Pool
from lifelong.data.sampling import generator

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def split_domain(
    domain: Domain, name: str, split: tuple[float, float], seed: int, support: Support = "held_out"
) -> dict[Split, Pool]:
    """Return the train, val and test pools of a domain, a pure function of its origin or name and the split seed.

    Args:
        domain: the domain.
        name: its name in the stream.
        split: share or number of the classes, or examples of each class, held out for val and test.
        seed: seed of the split.
        support: source of the support sets of val and test if examples are held out.

    Raises:
        ValueError: when variants of one class differ in size, or tasks of a time series would be drawn from two parts.
    """
    members = members_by_class(domain.y, len(domain.class_names))
    pool = Pool(
        domain.x,
        members,
        domain.class_names,
        targets=domain.targets,
        n_variants=domain.n_variants,
        name=name,
        ordered=domain.ordered,
    )
    rng = generator(seed, "split", _number(domain.origin or name))
    together = max(domain.n_variants, domain.siblings)
    if domain.holdout == "examples":
        parts = _split_examples(pool, together, domain.in_test, split, rng)
        return parts if support == "held_out" else _with_training_support(parts)
    return _split_classes(pool, together, domain.splits, split, rng)


def _split_classes(
    pool: Pool, together: int, given: Sequence[str] | None, split: tuple[float, float], rng: np.random.Generator
) -> dict[Split, Pool]:
    n_families = len(pool.members) // together
    if given is None:
        order, counts = rng.permutation(n_families), _counts(split, n_families)
        chosen = dict(zip(SPLITS, np.split(order, [counts[0], counts[0] + counts[1]]), strict=True))
    else:
        chosen = {part: np.array([f for f in range(n_families) if given[f] == part], dtype=int) for part in SPLITS}
    return {
        part: pool.take([int(f) * together + v for f in np.sort(families) for v in range(together)], _part(pool, part))
        for part, families in chosen.items()
    }


def _split_examples(
    pool: Pool, together: int, in_test: np.ndarray | None, split: tuple[float, float], rng: np.random.Generator
) -> dict[Split, Pool]:
    parts: dict[Split, list[np.ndarray]] = {s: [] for s in SPLITS}
    order = np.zeros(0, dtype=np.int64)
    for number, members in enumerate(pool.members):
        given = members[:0] if in_test is None else members[in_test[members]]
        free = members if in_test is None else members[~in_test[members]]
        if number % together == 0:
            order = np.arange(len(free)) if pool.ordered else rng.permutation(len(free))
        elif len(order) != len(free):
            raise ValueError(
                f"{pool.name}: {pool.names[number]} has {len(free)} examples and the class that it is a variant of "
                f"{len(order)}, so that copies of one could come to training and test: give both the same"
            )
        free = free[order]  # transformed copies of an example stay in one part
        counts = _counts(split if in_test is None else (split[0], 0), len(free))
        pieces = np.split(free, [counts[0], counts[0] + counts[1]])
        pieces[2] = np.concatenate([pieces[2], given])
        for part, piece in zip(SPLITS, pieces, strict=True):
            parts[part].append(np.sort(piece))
    return {
        part: Pool(
            pool.x,
            pieces,
            pool.names,
            targets=pool.targets,
            n_variants=pool.n_variants,
            name=_part(pool, part),
            ordered=pool.ordered,
        )
        for part, pieces in parts.items()
    }


def _with_training_support(parts: dict[Split, Pool]) -> dict[Split, Pool]:
    """Use the training part for the support sets of held-out parts."""
    train = parts["train"]
    if train.ordered:
        raise ValueError(
            f"the examples of {train.name} follow each other in time, and a support set of its training part would not "
            "come right before its queries: set --data.eval_support held_out"
        )
    for part in SPLITS[1:]:
        parts[part].support = train.members
    return parts


def _part(pool: Pool, part: str) -> str:
    return f"{pool.name} ({part})"


def _counts(split: tuple[float, float], total: int) -> tuple[int, int, int]:
    val, test = (round(share * total) if share < 1 else int(share) for share in split)
    return max(total - val - test, 0), min(val, total), min(test, max(total - val, 0))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
