"""From sources to a stream: domains, their splits, and the ordered experiences."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lifelong.data.domain import Domain
from lifelong.data.kinds import Part, Split, Support
from lifelong.data.pool import Pool, TaskShape
from lifelong.data.record import DomainRecord, update
from lifelong.data.small_classes import tell_left_out, without_small_classes
from lifelong.data.splits import SPLITS, split_domain


@dataclass(frozen=True)
class Experience:
    """Store one stretch of the stream.

    Args:
        index: position in the stream.
        name: name of the experience.
        pools: pools from which its training tasks are drawn (several in joint and cumulative training).
    """

    index: int
    name: str
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Stream:
    """Store the ordered experiences, and for every domain the fixed pools for evaluation tasks.

    Args:
        experiences: experiences for training, in order.
        domains: names of the evaluated domains (the columns of the accuracy matrix).
        val: one pool per domain.
        test: one pool per domain.
        fingerprint: hash of the split: which classes or examples are in which part.
        n_classes: number of training classes of the whole stream, indexed from 0; indices of held-out classes follow.
        n_unseen: number of domains, the last ones, that are evaluated but never trained on.
        records: one record per domain, for checkpoints.
        absent: indices of the domains whose examples are not available because they were learnt earlier.
    """

    experiences: tuple[Experience, ...]
    domains: tuple[str, ...]
    val: tuple[Pool, ...]
    test: tuple[Pool, ...]
    fingerprint: str
    n_classes: int
    n_unseen: int = 0
    records: tuple[DomainRecord, ...] = ()
    absent: frozenset[int] = frozenset()

    @cached_property
    def plain_records(self) -> list[dict[str, Any]]:
        """Return the records as plain data, cached because every checkpoint contains all of them."""
        return [record.to_dict() for record in self.records]

    @property
    def n_learnt(self) -> int:
        """Return the number of domains for training."""
        return len(self.domains) - self.n_unseen

    def pools(self, part: Part) -> tuple[Pool, ...]:
        """Return the pools of an evaluation part, one per domain."""
        return self.val if part == "val" else self.test

    def n_examples(self, part: Split, domain: int) -> int:
        """Return the number of examples of a part of a domain, also if they are not available."""
        if domain in self.absent:
            return self.records[domain].n_examples[part]
        pools = tuple(e.pools[-1] for e in self.experiences) if part == "train" else self.pools(part)
        return len(pools[domain])


def build_stream(
    domains: Sequence[Domain],
    *,
    split: tuple[float, float],
    split_seed: int,
    unseen: Sequence[Domain] = (),
    joint: bool = False,
    cumulative: bool = False,
    shared_classes: bool = False,
    fixed_ways: bool = False,
    hold_out_examples: bool = False,
    support: Support = "held_out",
    least: tuple[TaskShape, TaskShape] | None = None,
) -> Stream:
    """Split every domain into train, val and test, and order the training parts as experiences.

    Args:
        domains: domains in the order of the stream; equal names are numbered.
        split: share (below 1) or number (1 or more) of the classes, or examples of each class, held out for
            validation and for test.
        split_seed: seed of the split, independent of the run's seed.
        unseen: domains for evaluation only; their training parts are not used.
        joint: make a single experience with the tasks of all domains, an upper bound without forgetting.
        cumulative: give each experience the training parts of all domains so far, an upper bound for every row.
        shared_classes: every domain has the same classes, in the same order; otherwise classes differ between domains.
        fixed_ways: with shared classes, every task has all of them, in this order.
        hold_out_examples: hold out examples for evaluation, even if a domain is set to hold out classes.
        support: source of the support sets of evaluation tasks if examples are held out.
        least: shapes of the training and evaluation tasks; classes that are too small for them are left out and
            reported in one line. Default: no class is left out.

    Raises:
        ValueError: when there is no training data, both ``joint`` and ``cumulative`` are set, or one of them is set and
            examples of a domain are not available.
    """
    if not domains:
        raise ValueError("the stream has no experience: give --data.sources at least one source with one domain")
    if joint and cumulative:
        raise ValueError("--data.joint learns all domains at once and --data.cumulative ever more of them: set one")
    n_learnt, domains = len(domains), [*domains, *unseen]
    names = _unique([d.name for d in domains])
    absent = frozenset(number for number, domain in enumerate(domains) if domain.record is not None)
    _check_at_hand(names, absent, joint=joint, cumulative=cumulative)
    if fixed_ways:
        _check_same_classes(domains, names)
    if hold_out_examples:
        domains = [replace(domain, holdout="examples") for domain in domains]
    parts = [split_domain(d, name, split, split_seed, support) for d, name in zip(domains, names, strict=True)]
    if least is not None:
        parts = _large_enough(domains, parts, least, n_learnt)
    whole_parts = [dict(part) for part in parts]
    for part in parts[n_learnt:]:
        part["train"] = part["train"].take([], part["train"].name)
    n_classes = _number_classes(parts, shared_classes or fixed_ways)
    for pool in (pool for part in parts for pool in part.values()):
        pool.fixed_ways = fixed_ways
    records = _records(domains, names, whole_parts, n_learnt)
    train = [part["train"] for part in parts[:n_learnt]]
    experiences = _line_up(train, names, joint=joint, cumulative=cumulative)
    return Stream(
        experiences,
        tuple(names),
        tuple(p["val"] for p in parts),
        tuple(p["test"] for p in parts),
        _fingerprint(parts, records if absent else ()),
        n_classes,
        len(unseen),
        records,
        absent,
    )


def _large_enough(
    domains: Sequence[Domain], parts: Sequence[dict[Split, Pool]], least: tuple[TaskShape, TaskShape], n_learnt: int
) -> list[dict[Split, Pool]]:
    """Leave out classes that are too small for the tasks of the used parts."""
    kept, left_out = [], []
    for number, (domain, pools) in enumerate(zip(domains, parts, strict=True)):
        shapes: dict[Split, TaskShape] = {"val": least[1], "test": least[1]}
        if number < n_learnt:
            shapes["train"] = least[0]
        large, names = without_small_classes(pools, shapes, same_classes=domain.holdout == "examples")
        kept.append(large)
        left_out += names
    tell_left_out(left_out)
    return kept


def _records(
    domains: Sequence[Domain], names: Sequence[str], parts: Sequence[dict[Split, Pool]], n_learnt: int
) -> tuple[DomainRecord, ...]:
    """Return the record of each domain; for domains without available examples, the existing record."""
    return tuple(
        d.record or DomainRecord.of(name, part, is_learnt=number < n_learnt)
        for number, (d, name, part) in enumerate(zip(domains, names, parts, strict=True))
    )


def _check_at_hand(names: Sequence[str], absent: frozenset[int], *, joint: bool, cumulative: bool) -> None:
    if len(absent) == len(names):
        raise ValueError("the examples of no domain are at hand: give --data.sources a source besides Absent")
    if absent and (joint or cumulative):
        bound = "joint" if joint else "cumulative"
        raise ValueError(
            f"--data.{bound} learns from the examples of all domains, and those of {names[min(absent)]} are not at "
            f"hand: leave --data.{bound} out, or give the stream its data again"
        )


def _line_up(train: Sequence[Pool], names: Sequence[str], *, joint: bool, cumulative: bool) -> tuple[Experience, ...]:
    if joint:
        return (Experience(0, "all domains", tuple(train)),)
    first = [0 if cumulative else i for i in range(len(train))]
    return tuple(Experience(i, names[i], tuple(train[first[i] : i + 1])) for i in range(len(train)))


def _check_same_classes(domains: Sequence[Domain], names: Sequence[str]) -> None:
    first = list(domains[0].class_names)
    for domain, name in zip(domains, names, strict=True):
        if list(domain.class_names) != first:
            raise ValueError(
                f"with --data.fixed_ways every domain must have the same classes in the same order, but {names[0]} has "
                f"{', '.join(first)} and {name} has {', '.join(domain.class_names)}: leave one of them out"
            )


def _number_classes(parts: Sequence[dict[Split, Pool]], shared: bool) -> int:
    """Assign indices to the classes of the stream, training classes first, and return the number of these."""
    numbers: dict[tuple[int, str | int], int] = {}
    n_train = 0
    for split in SPLITS:
        for domain, part in enumerate(parts):
            pool = part[split]
            first = [i - i % pool.n_variants for i in range(len(pool.names))]
            keys = [(0, i) if shared else (domain, pool.names[i]) for i in first]
            pool.numbers = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
        n_train = n_train or len(numbers)
    return n_train


def _unique(names: Sequence[str]) -> list[str]:
    unique: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in unique or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name} {number}"
        unique.append(candidate)
    return unique


def _fingerprint(parts: Sequence[dict[Split, Pool]], records: Sequence[DomainRecord]) -> str:
    """Return the hash of all splits, from the domains' own hashes if some examples are not available."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.fingerprint.encode())
    for part in () if records else parts:
        update(digest, part)
    return digest.hexdigest()[:16]
