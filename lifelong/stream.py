"""From sources to a stream: domains, their splits, and the ordered experiences that a learner lives through."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lifelong.pool import RESIDENT_BYTES, Pool
from lifelong.sampling import generator

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Domain:
    """What a source loads: the examples of one future experience, by class.

    Args:
        name: shown in tables and plots.
        x: ``(M, *X)`` inputs, uint8 or float; images are ``(M, C, H, W)``, texts ``(M, L)`` tokens as int64.
        y: ``(M,)`` class indices; for regression the index of the function that an example comes from; -1 where an
            example of ``x`` is not the domain's.
        class_names: one name per class index.
        targets: ``(M, *Y)`` real targets (regression), or None.
        holdout: what evaluation keeps apart in few-shot streams: whole ``classes`` (new classes at test) or
            ``examples`` of the same classes (for domains with few classes). Streams of labelled examples always keep
            examples apart.
        n_variants: consecutive class indices that are variants (rotations) of one class; they share a split.
        siblings: consecutive class indices that share a split but may meet in a task (rotations as new classes).
        splits: the split of each class (``train``, ``val``, ``test``) where the data set fixes it, one
            entry for all variants or siblings together, with ``holdout="classes"``; None draws it.
        in_test: ``(M,)`` which examples the data set keeps for test, with ``holdout="examples"``; None draws them.
        ordered: the examples of a class follow each other in time: a task is a window of consecutive ones, the support
            first; where examples are held out, each part is such a stretch.
        origin: what the split is drawn by: domains made of the same examples share it, so that none is trained on in
            one of them and tested in another; None is the name.
    """

    name: str
    x: Tensor
    y: np.ndarray
    class_names: Sequence[str]
    targets: Tensor | None = None
    holdout: Literal["classes", "examples"] = "classes"
    n_variants: int = 1
    siblings: int = 1
    splits: Sequence[str] | None = None
    in_test: np.ndarray | None = None
    origin: str | None = None
    ordered: bool = False

    def part(self, y: np.ndarray, name: str, class_names: Sequence[str]) -> Domain:
        """Some of the examples under other class indices.

        A large domain shares its inputs with all of its parts, so that a memory map is not read into memory.

        Args:
            y: ``(M,)`` their class indices; -1 leaves an example out.
            name: of the part.
            class_names: one name per new class index.

        Example:
            >>> import torch
            >>> whole = Domain("all", torch.arange(4.0), np.array([0, 1, 2, 1]), ["a", "b", "c"])
            >>> whole.part(np.array([1, -1, 0, -1]), "some", ["c", "a"]).x
            tensor([0., 2.])
        """
        kept = np.flatnonzero(y >= 0)
        if len(kept) == len(y) or self.x.nbytes > RESIDENT_BYTES:
            return replace(self, name=name, y=y, class_names=class_names)
        index = torch.from_numpy(kept)
        return replace(
            self,
            name=name,
            x=self.x[index],
            y=y[kept],
            class_names=class_names,
            targets=None if self.targets is None else self.targets[index],
            in_test=None if self.in_test is None else self.in_test[kept],
        )


class Source(ABC):
    """A data set: it knows how to load its domains and nothing about tasks, splits or strategies.

    Example:
        >>> import torch
        >>> class Toy(Source):
        ...     def domains(self):
        ...         return [Domain("toy", torch.rand(40, 2), np.arange(40) % 4, ["a", "b", "c", "d"])]
        >>> Toy().domains()[0].name
        'toy'
    """

    @abstractmethod
    def domains(self) -> list[Domain]:
        """Load the domains, in the order of the stream."""


@dataclass(frozen=True)
class Experience:
    """One stretch of the stream.

    Args:
        index: its place in the stream.
        name: its name.
        pools: where its training tasks are drawn from (several in the joint and the cumulative upper bound).
    """

    index: int
    name: str
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Stream:
    """The ordered experiences, and for every domain the fixed pools that evaluation tasks come from.

    Args:
        experiences: what is learnt, in order.
        domains: names of the domains that are evaluated (the columns of the accuracy matrix).
        val: one pool per domain.
        test: one pool per domain.
        fingerprint: hash of the split: which classes or examples are in which part.
        n_classes: training classes of the whole stream; they are numbered from 0, held-out ones go on from there.
        n_unseen: so many of the domains, the last ones, are evaluated and never learnt.
    """

    experiences: tuple[Experience, ...]
    domains: tuple[str, ...]
    val: tuple[Pool, ...]
    test: tuple[Pool, ...]
    fingerprint: str
    n_classes: int
    n_unseen: int = 0

    @property
    def n_learnt(self) -> int:
        """Domains that the stream teaches."""
        return len(self.domains) - self.n_unseen


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
) -> Stream:
    """Split every domain into train, val and test, and line the training parts up as experiences.

    Args:
        domains: in the order of the stream; equal names are numbered.
        split: share (below 1) or number (1 or more) of the classes, or examples of each class, held out for
            validation and for test.
        split_seed: the only randomness of the split; never the run's seed.
        unseen: domains to evaluate alone: their training parts are not used.
        joint: one experience that draws each task from any domain: the upper bound that has forgotten nothing.
        cumulative: each experience has the training parts of all domains so far: the upper bound for every row.
        shared_classes: the classes of every domain are the same, in their order; otherwise each domain brings its own.
        fixed_ways: and every task has all of them, in this order.
        hold_out_examples: evaluate on other examples of the trained classes, also where a domain would keep classes
            apart.

    Raises:
        ValueError: when there is nothing to learn from, or two upper bounds are asked for.
    """
    if not domains:
        raise ValueError("the stream has no experience: give --data.sources at least one source with one domain")
    if joint and cumulative:
        raise ValueError("--data.joint learns all domains at once and --data.cumulative ever more of them: set one")
    n_learnt, domains = len(domains), [*domains, *unseen]
    names = _unique([d.name for d in domains])
    if fixed_ways:
        _check_same_classes(domains, names)
    if hold_out_examples:
        domains = [replace(domain, holdout="examples") for domain in domains]
    parts = [split_domain(d, name, split, split_seed) for d, name in zip(domains, names, strict=True)]
    for part in parts[n_learnt:]:
        part["train"] = part["train"].take([], part["train"].name)
    n_classes = _number_classes(parts, shared_classes or fixed_ways)
    for pool in (pool for part in parts for pool in part.values()):
        pool.fixed_ways = fixed_ways
    train = [p["train"] for p in parts[:n_learnt]]
    if joint:
        experiences = [Experience(0, "all domains", tuple(train))]
    else:
        first = [0 if cumulative else i for i in range(n_learnt)]
        experiences = [Experience(i, names[i], tuple(train[first[i] : i + 1])) for i in range(n_learnt)]
    return Stream(
        tuple(experiences),
        tuple(names),
        tuple(p["val"] for p in parts),
        tuple(p["test"] for p in parts),
        _fingerprint(parts),
        n_classes,
        len(unseen),
    )


def _check_same_classes(domains: Sequence[Domain], names: Sequence[str]) -> None:
    first = list(domains[0].class_names)
    for domain, name in zip(domains, names, strict=True):
        if list(domain.class_names) != first:
            raise ValueError(
                f"with --data.fixed_ways every domain must have the same classes in the same order, but {names[0]} has "
                f"{', '.join(first)} and {name} has {', '.join(domain.class_names)}: leave one of them out"
            )


def split_domain(domain: Domain, name: str, split: tuple[float, float], seed: int) -> dict[str, Pool]:
    """The train, val and test pools of a domain, a pure function of its origin or name and the split seed."""
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
        return _split_examples(pool, together, domain.in_test, split, rng)
    return _split_classes(pool, together, domain.splits, split, rng)


def members_by_class(y: np.ndarray, n_classes: int) -> list[np.ndarray]:
    """The indices of each class's examples, ascending; -1 is no class."""
    order = np.argsort(y, kind="stable")
    return np.split(order, np.searchsorted(y[order], np.arange(n_classes)))[1:]


def _split_classes(
    pool: Pool, together: int, given: Sequence[str] | None, split: tuple[float, float], rng: np.random.Generator
) -> dict[str, Pool]:
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
) -> dict[str, Pool]:
    parts: dict[str, list[np.ndarray]] = {s: [] for s in SPLITS}
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
        free = free[order]  # copies of one example, turned say, stay in one part
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


def _number_classes(parts: Sequence[dict[str, Pool]], shared: bool) -> int:
    """Give each class its number in the stream, training classes first; returns how many of those there are."""
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


def _part(pool: Pool, part: str) -> str:
    return f"{pool.name} ({part})"


def _counts(split: tuple[float, float], total: int) -> tuple[int, int, int]:
    val, test = (round(share * total) if share < 1 else int(share) for share in split)
    return max(total - val - test, 0), min(val, total), min(test, max(total - val, 0))


def _unique(names: Sequence[str]) -> list[str]:
    unique: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in unique or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name} {number}"
        unique.append(candidate)
    return unique


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _fingerprint(parts: Sequence[dict[str, Pool]]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for split, pool in part.items():
            digest.update(f"{split}:{pool.name}:{pool.n_variants}".encode())
            for name, members in zip(pool.names, pool.members, strict=True):
                digest.update(name.encode())
                digest.update(members.tobytes())
    return digest.hexdigest()[:16]
